"""The embedded platform: the real engines from PyPI packages, on loopback, in one command."""
