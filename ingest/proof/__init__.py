"""The proof: what each side holds of a range, computed by that side, and where they differ."""
