"""The hot path against a backlog."""
