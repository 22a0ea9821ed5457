"""What one message costs in CPU, held against a stored figure."""
