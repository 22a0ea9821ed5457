"""A contract's table in Iceberg's terms: schema, partition, sort order, properties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import (
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    YearTransform,
)
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    MapType,
    NestedField,
    StringType,
    TimestamptzType,
)

from ingest.contract import Column, ColumnType, Contract, LakePartition

_TYPES: dict[ColumnType, IcebergType] = {
    ColumnType.STRING: StringType(),
    ColumnType.LOW_CARDINALITY_STRING: StringType(),
    ColumnType.BOOL: BooleanType(),
    ColumnType.INT32: IntegerType(),
    ColumnType.INT64: LongType(),
    ColumnType.FLOAT32: FloatType(),
    ColumnType.FLOAT64: DoubleType(),
    ColumnType.TIMESTAMP: TimestamptzType(),
    ColumnType.DATE: DateType(),
    ColumnType.JSON: StringType(),
}
_METADATA: dict[str, IcebergType] = {
    "_seq": LongType(),
    "_idx": IntegerType(),
    "_lane": StringType(),
    "_epoch": StringType(),
    "_stored_at": TimestamptzType(),
}
_PARTITIONS: dict[LakePartition, Transform[Any, Any]] = {
    LakePartition.HOUR: HourTransform(),
    LakePartition.DAY: DayTransform(),
    LakePartition.MONTH: MonthTransform(),
    LakePartition.YEAR: YearTransform(),
}
_FIRST_PARTITION_ID = 1000


def iceberg_schema(contract: Contract) -> Schema:
    """The table's schema: the contract's columns, then the metadata columns; ids from 1."""
    # A map's key and value take ids too; they come after all columns, as Iceberg assigns them.
    count = len(contract.columns) + len(_METADATA)
    nested = iter(range(count + 1, 3 * count + 1))
    fields = [
        NestedField(
            number,
            column.name,
            _iceberg_type(column, nested),
            required=_is_required(column),
            doc=_doc(column),
        )
        for number, column in enumerate(contract.columns, start=1)
    ]
    for number, (name, kind) in enumerate(_METADATA.items(), start=len(fields) + 1):
        fields.append(NestedField(number, name, kind, required=True))
    return Schema(*fields)


def iceberg_type(column: Column) -> IcebergType:
    """The Iceberg type of a column; the ids inside of a map are placeholders."""
    return _iceberg_type(column, iter((-1, -2)))


def partition_spec(contract: Contract, schema: Schema) -> PartitionSpec:
    """Partitions by the time column: hour, day, month or year as the contract says."""
    source = schema.find_field(contract.time_column)
    return PartitionSpec(
        PartitionField(
            source_id=source.field_id,
            field_id=_FIRST_PARTITION_ID,
            transform=_PARTITIONS[contract.lake_partition],
            name=f"{contract.time_column}_{contract.lake_partition}",
        )
    )


def sort_order(contract: Contract, schema: Schema) -> SortOrder:
    """Ascending by the key columns, then `_seq` and `_idx`, as in ClickHouse."""
    return SortOrder(
        *(
            SortField(
                source_id=schema.find_field(name).field_id,
                transform=IdentityTransform(),
                direction=SortDirection.ASC,
                null_order=NullOrder.NULLS_FIRST,
            )
            for name in (*contract.key, "_seq", "_idx")
        )
    )


def table_properties(contract: Contract) -> dict[str, str]:
    """Properties of a new table.

    Old metadata files are deleted after 100 commits. Never set ``commit.retry.*`` here: it would
    disarm the retries of every other client too.
    """
    properties = {
        "format-version": "2",
        "write.metadata.delete-after-commit.enabled": "true",
        "write.metadata.previous-versions-max": "100",
        "write.parquet.compression-codec": "zstd",
        "write.parquet.compression-level": "3",
        "write.parquet.row-group-limit": "262144",
        # pyiceberg counts Arrow's bytes; the file is a fraction of that.
        "write.target-file-size-bytes": str(512 << 20),
        "ingest.contract": contract.name,
    }
    if contract.description:
        properties["comment"] = contract.description
    return properties


def _iceberg_type(column: Column, ids: Iterator[int]) -> IcebergType:
    if column.type is not ColumnType.MAP:
        return _TYPES[column.type]
    key_id, value_id = next(ids), next(ids)
    return MapType(key_id, StringType(), value_id, StringType(), value_required=False)


def _is_required(column: Column) -> bool:
    """Maps stay optional: one that is added later has no value in rows stored before."""
    return not column.nullable and column.type is not ColumnType.MAP


def _doc(column: Column) -> str | None:
    unit = f" [{column.unit}]" if column.unit else ""
    return f"{column.description}{unit}".strip() or None
