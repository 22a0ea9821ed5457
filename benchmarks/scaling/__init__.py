"""How cost and memory change with the number, the size and the form of messages."""
