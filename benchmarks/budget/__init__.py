"""The hot path beside maintenance of the lake."""
