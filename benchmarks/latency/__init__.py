"""How long a reading takes from its due time to being visible, at several loads."""
