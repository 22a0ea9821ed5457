"""What integration tests share: lanes of their own, processes, and waiting for a condition."""
