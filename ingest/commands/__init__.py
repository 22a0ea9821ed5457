"""The commands of `ingest`, one module each, imported only when called."""
