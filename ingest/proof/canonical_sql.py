"""The canonical bytes of a row as a ClickHouse expression; ``ingest.fingerprint`` defines them."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.contract import Column, ColumnType, Contract
from ingest.fingerprint import canonical_value

_METADATA_TEXTS = (
    "toString(_seq)",
    "toString(_idx)",
    "toString(toUnixTimestamp64Micro(_stored_at))",
)


def row_hash(contract: Contract, later: Sequence[Column] = ()) -> str:
    """UInt64 expression: XXH64 of the row under ``contract``; ``later`` were added after it."""
    pieces: list[str] = []
    for column in contract.columns:
        pieces += _prefixed(text(column), nullable=column.nullable)
    for one in _METADATA_TEXTS:
        pieces += _prefixed(one, nullable=False)
    pieces += [_if_present(column) for column in later]
    return f"xxHash64(concat({', '.join(pieces)}))"


def hash_expression(columns: Sequence[Column]) -> str:
    """UInt64 expression: XXH64 of the canonical bytes of these columns alone."""
    pieces = [piece for one in columns for piece in _prefixed(text(one), nullable=one.nullable)]
    return f"xxHash64(concat({', '.join(pieces)}))"


def text(column: Column) -> str:
    """String expression of a column's value; null where it is null, '' for a missing map."""
    name = quoted(column.name)
    match column.type:
        case ColumnType.FLOAT32 | ColumnType.FLOAT64:
            return f"toString(reinterpretAsInt64(toFloat64({name})))"
        case ColumnType.TIMESTAMP:
            return f"toString(toUnixTimestamp64Micro({name}))"
        case ColumnType.DATE:
            return f"toString(toInt32({name}))"
        case ColumnType.BOOL:
            return f"toString(toUInt8({name}))"
        case ColumnType.MAP:
            return _map_text(name)
        case ColumnType.INT32 | ColumnType.INT64:
            return f"toString({name})"
    return name


def quoted(name: str) -> str:
    """The name as an identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(value: str) -> str:
    """The text as a string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _map_text(name: str) -> str:
    entry = (
        "concat(toString(length(e.1)), ':', e.1,"
        " ifNull(concat(toString(length(e.2)), ':', e.2), '-'))"
    )
    entries = f"arraySort(arrayZip(mapKeys({name}), mapValues({name})))"
    return f"arrayStringConcat(arrayMap(e -> {entry}, {entries}))"


def _prefixed(value: str, *, nullable: bool) -> list[str]:
    if nullable:
        return [f"ifNull(concat(toString(length({value})), ':', {value}), '-')"]
    return [f"toString(length({value}))", "':'", value]


def _if_present(column: Column) -> str:
    label = literal(canonical_value(column.name).decode())
    value = text(column)
    given = f"concat({label}, toString(length({value})), ':', {value})"
    if column.type is ColumnType.MAP:
        return f"if(empty({value}), '', {given})"
    return f"ifNull({given}, '')"
