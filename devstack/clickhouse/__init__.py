"""ClickHouse's engine (chDB) behind the HTTP interface that ClickHouse clients speak."""
