"""A contract's tables and views in ClickHouse's DDL."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.contract import Column, ColumnType, Contract, Rollup
from ingest.errors import SchemaMismatchError

# Inserts of one table that its deduplication log remembers. 0, the server's default, is off.
DEDUPLICATION_WINDOW = 100_000

METADATA_TYPES = {
    "_seq": "UInt64",
    "_idx": "UInt32",
    "_lane": "LowCardinality(String)",
    "_epoch": "LowCardinality(String)",
    "_stored_at": "DateTime64(6, 'UTC')",
}

_TYPES = {
    ColumnType.STRING: "String",
    ColumnType.LOW_CARDINALITY_STRING: "String",
    ColumnType.BOOL: "Bool",
    ColumnType.INT32: "Int32",
    ColumnType.INT64: "Int64",
    ColumnType.FLOAT32: "Float32",
    ColumnType.FLOAT64: "Float64",
    ColumnType.TIMESTAMP: "DateTime64(6, 'UTC')",
    ColumnType.DATE: "Date32",
    # Text as sent: ClickHouse's JSON type would reorder keys and re-spell numbers.
    ColumnType.JSON: "String",
    ColumnType.MAP: "Map(String, String)",
}
_WIDER = {"Int32": "Int64", "Float32": "Float64"}


def column_type(column: Column) -> str:
    """The ClickHouse type of a column, spelled as ``system.columns`` spells it."""
    kind = _TYPES[column.type]
    if column.nullable:
        kind = f"Nullable({kind})"
    if column.type is ColumnType.LOW_CARDINALITY_STRING:
        kind = f"LowCardinality({kind})"
    return kind


def table_columns(contract: Contract) -> dict[str, str]:
    """Every column of the table and its type, in the order of the Arrow schema."""
    return {column.name: column_type(column) for column in contract.columns} | METADATA_TYPES


def create_statements(contract: Contract, *, cluster: str | None = None) -> list[str]:
    """Statements that create database, table and views where they are missing.

    With a cluster's name the table is replicated on it, and ``<table>_all`` reads all shards; a
    lane writes to one replica of one shard, so that an insert stays one block.
    """
    on_cluster = f" ON CLUSTER {_quoted(cluster)}" if cluster else ""
    database = _quoted(contract.namespace)
    statements = [f"CREATE DATABASE IF NOT EXISTS {database}{on_cluster}"]
    statements.append(_create_table(contract, on_cluster, replicated=cluster is not None))
    source = _name(contract)
    if cluster:
        source = _name(contract, "_all")
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {source}{on_cluster} AS {_name(contract)}\n"
            f"ENGINE = Distributed({_literal(cluster)}, {_literal(contract.namespace)}, "
            f"{_literal(contract.table)})"
        )
    return statements + _create_views(contract, source, on_cluster)


def add_column_statements(
    contract: Contract, existing: Mapping[str, str], *, cluster: str | None = None
) -> list[str]:
    """Statements that bring a table with the ``existing`` columns (name to type) to the contract.

    Adds optional columns and widens numbers. Empty when nothing is missing. Raises
    `SchemaMismatchError` when a column differs in another way or is not in the contract.
    """
    on_cluster = f" ON CLUSTER {_quoted(cluster)}" if cluster else ""
    wanted = table_columns(contract)
    _check_existing(contract, wanted, existing)
    tables = [_name(contract), *([_name(contract, "_all")] if cluster else [])]
    statements: list[str] = []
    previous: str | None = None
    for name, kind in wanted.items():
        place = f"AFTER {_quoted(previous)}" if previous else "FIRST"
        for table in tables:
            alter = f"ALTER TABLE {table}{on_cluster}"
            if name not in existing:
                statements.append(
                    f"{alter} ADD COLUMN IF NOT EXISTS {_quoted(name)} {kind} {place}"
                )
            elif _spelled(existing[name]) != _spelled(kind):
                statements.append(f"{alter} MODIFY COLUMN {_quoted(name)} {kind}")
        previous = name
    if not statements:
        return []
    source = tables[-1]
    views = _create_views(contract, source, on_cluster)
    return statements + [
        one.replace("CREATE VIEW IF NOT EXISTS", "CREATE OR REPLACE VIEW", 1) for one in views
    ]


def _check_existing(
    contract: Contract, wanted: Mapping[str, str], existing: Mapping[str, str]
) -> None:
    for name, found in existing.items():
        if name not in wanted:
            raise SchemaMismatchError(
                f"table {_name(contract)} has a column {name} that contract {contract.name} does "
                "not name: dropping columns is refused, put it back into the contract"
            )
        kind = _spelled(wanted[name])
        if _spelled(found) != kind and _widened(_spelled(found)) != kind:
            raise SchemaMismatchError(
                f"table {_name(contract)} has column {name} as {found}, contract {contract.name} "
                f"needs {wanted[name]}: only adding and widening is possible"
            )
    for name in wanted.keys() - existing.keys():
        if name in METADATA_TYPES or not _addable(contract.column(name)):
            raise SchemaMismatchError(
                f"table {_name(contract)} has no column {name} and it cannot be added: rows that "
                "are already stored would have no value for it"
            )


def _addable(column: Column) -> bool:
    return column.nullable or column.type is ColumnType.MAP


def _widened(kind: str) -> str:
    for narrow, wide in _WIDER.items():
        if kind in (narrow, f"Nullable({narrow})"):
            return kind.replace(narrow, wide)
    return kind


def _spelled(kind: str) -> str:
    return kind.replace(" ", "")


def _create_table(contract: Contract, on_cluster: str, *, replicated: bool) -> str:
    lines = [
        f"    {_quoted(name)} {kind}{_comment(contract, name)}"
        for name, kind in table_columns(contract).items()
    ]
    time = _quoted(contract.time_column)
    lines.append(f"    INDEX event_time {time} TYPE minmax GRANULARITY 1")
    # A range of sequences stands in few parts: without it every question about one, of a take-over
    # or of the proof, would read whole days.
    lines.append("    INDEX sequence _seq TYPE minmax GRANULARITY 1")
    if contract.rollup:
        lines.append(f"    PROJECTION per_minute ({rollup_query(contract, contract.rollup)})")
    order = ", ".join(_quoted(name) for name in (*contract.key, "_seq", "_idx"))
    settings = {"fsync_after_insert": 1, "fsync_part_directory": 1}
    if replicated:
        path = "/clickhouse/tables/{shard}/{database}/{table}"
        engine = f"ReplicatedMergeTree('{path}', '{{replica}}')"
        settings["replicated_deduplication_window"] = DEDUPLICATION_WINDOW
    else:
        engine = "MergeTree"
        settings["non_replicated_deduplication_window"] = DEDUPLICATION_WINDOW
    listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {_name(contract)}{on_cluster}\n(\n"
        + ",\n".join(lines)
        + f"\n)\nENGINE = {engine}\nPARTITION BY toDate(_stored_at)\nORDER BY ({order})\n"
        f"SETTINGS {listed}"
        + (f"\nCOMMENT {_literal(contract.description)}" if contract.description else "")
    )


def _comment(contract: Contract, name: str) -> str:
    if name in METADATA_TYPES:
        return ""
    column = contract.column(name)
    unit = f" [{column.unit}]" if column.unit else ""
    text = f"{column.description}{unit}".strip()
    return f" COMMENT {_literal(text)}" if text else ""


def rollup_query(contract: Contract, rollup: Rollup, source: str = "") -> str:
    """The per-minute aggregate; the same text in projection and view, so that one answers both.

    The minute is computed in integers: toStartOfMinute ends at 1970 and 2106 without an error.
    """
    groups = ", ".join(_quoted(name) for name in rollup.group_by)
    time, value = _quoted(contract.time_column), _quoted(rollup.value)
    micros = f"toUnixTimestamp64Micro({time})"
    minute = (
        f"fromUnixTimestamp64Micro({micros} - positiveModulo({micros}, 60000000), 'UTC') AS minute"
    )
    return (
        f"SELECT {groups}, {minute}, count() AS count, sum({value}) AS sum, min({value}) AS min, "
        f"max({value}) AS max, max({time}) AS last{f' FROM {source}' if source else ''} "
        f"GROUP BY {groups}, minute"
    )


def _create_views(contract: Contract, source: str, on_cluster: str) -> list[str]:
    statements = []
    if contract.rollup:
        query = rollup_query(contract, contract.rollup, source)
        view = _name(contract, "_1m")
        statements.append(f"CREATE VIEW IF NOT EXISTS {view}{on_cluster} AS\n{query}")
    if contract.business_key:
        # The first to be stored stays; sequences of a later epoch may be lower.
        by = ", ".join(_quoted(name) for name in contract.business_key)
        columns = ", ".join(_quoted(name) for name in table_columns(contract))
        view = _name(contract, "_distinct")
        statements.append(
            f"CREATE VIEW IF NOT EXISTS {view}{on_cluster} AS\nSELECT {columns} FROM {source} "
            f"ORDER BY _stored_at, _lane, _seq, _idx LIMIT 1 BY {by}"
        )
    return statements


def _name(contract: Contract, suffix: str = "") -> str:
    return f"{_quoted(contract.namespace)}.{_quoted(contract.table + suffix)}"


def _quoted(identifier: str) -> str:
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
