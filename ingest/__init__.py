"""Exactly-once ingestion from NATS JetStream into ClickHouse and Apache Iceberg."""
