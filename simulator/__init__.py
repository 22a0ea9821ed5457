"""Sensors that publish to JetStream with acknowledgement and keep a manifest of what was stored."""
