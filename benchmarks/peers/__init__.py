"""Other clients on the same stream."""
