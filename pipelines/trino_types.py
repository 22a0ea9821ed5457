"""The contract's column types as Trino shows them for an Iceberg table."""

from __future__ import annotations

from ingest.contract import ColumnType

COLUMN_TYPES = {
    ColumnType.STRING: "varchar",
    ColumnType.LOW_CARDINALITY_STRING: "varchar",
    ColumnType.BOOL: "boolean",
    ColumnType.INT32: "integer",
    ColumnType.INT64: "bigint",
    ColumnType.FLOAT32: "real",
    ColumnType.FLOAT64: "double",
    ColumnType.TIMESTAMP: "timestamp(6) with time zone",
    ColumnType.DATE: "date",
    ColumnType.JSON: "varchar",
    ColumnType.MAP: "map(varchar, varchar)",
}
