"""The platform's manifests, checked without a cluster."""
