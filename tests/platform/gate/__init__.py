"""A program that understands the platform's manifests: `python -m tests.platform.gate`."""
