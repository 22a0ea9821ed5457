"""The lake path against a backlog."""
