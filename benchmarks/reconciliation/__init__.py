"""Ten million readings proven, and what was added to them."""
