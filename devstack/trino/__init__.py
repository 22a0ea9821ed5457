"""The real Trino server: fetched from Maven Central once, run beside the other services."""
