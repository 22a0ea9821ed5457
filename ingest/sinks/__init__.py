"""The two places where readings are stored: ClickHouse (seconds) and Iceberg (minutes)."""
