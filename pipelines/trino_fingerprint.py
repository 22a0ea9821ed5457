"""The canonical bytes of a row as a Trino expression; ``ingest.fingerprint`` defines them.

Trino has no unsigned integers and its sums fail on overflow: a hash is a BIGINT with the same bits,
and its halves are summed apart (`low`, `high`, put together by `combined`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ingest.contract import Column, ColumnType, Contract
from ingest.fingerprint import MASK, canonical_value
from pipelines.trino_client import quoted

MOST_ARGUMENTS = 100
"""Arguments of one concat(); Trino refuses more than 254, and compiles long ones badly."""
_HALF = 0xFFFFFFFF
_METADATA_TEXTS = ("CAST(_seq AS varchar)", "CAST(_idx AS varchar)")


def row_hash(
    contract: Contract, later: Sequence[Column] = (), *, absent: Collection[str] = ()
) -> str:
    """BIGINT expression: the bits of XXH64 of the row under ``contract``.

    ``later`` were added after it. ``absent`` names columns that the snapshot read does not have
    yet: they hold no value there.
    """
    pieces: list[str] = []
    for column in contract.columns:
        pieces += _prefixed(text(column, absent=absent), nullable=column.nullable)
    for one in (*_METADATA_TEXTS, microseconds("_stored_at")):
        pieces += _prefixed(one, nullable=False)
    pieces += [_if_present(column) for column in later if column.name not in absent]
    return _hash(pieces)


def hash_expression(columns: Sequence[Column]) -> str:
    """BIGINT expression: the bits of XXH64 of the canonical bytes of these columns alone."""
    return _hash(
        [piece for one in columns for piece in _prefixed(text(one), nullable=one.nullable)]
    )


def text(column: Column, *, absent: Collection[str] = ()) -> str:
    """VARCHAR expression of a column's value; null where it is null, '' for a missing map."""
    if column.name in absent:
        return "''" if column.type is ColumnType.MAP else "CAST(NULL AS varchar)"
    name = quoted(column.name)
    match column.type:
        case ColumnType.FLOAT32 | ColumnType.FLOAT64:
            bits = f"from_big_endian_64(to_ieee754_64(CAST({name} AS double)))"
            return f"CAST({bits} AS varchar)"
        case ColumnType.TIMESTAMP:
            return microseconds(name)
        case ColumnType.DATE:
            return f"CAST(date_diff('day', DATE '1970-01-01', {name}) AS varchar)"
        case ColumnType.BOOL:
            return f"CAST(CAST({name} AS integer) AS varchar)"
        case ColumnType.MAP:
            return _map_text(name)
        case ColumnType.INT32 | ColumnType.INT64:
            return f"CAST({name} AS varchar)"
    return name


def microseconds(name: str) -> str:
    """VARCHAR expression: microseconds since the Unix epoch of a TIMESTAMP(6) WITH TIME ZONE.

    date_diff() counts whole milliseconds, exactly and downwards; to_unixtime() is a double and
    wrong in the last digits. What is left of the millisecond are the last digits of the text.
    """
    whole = f"date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00 UTC', {name})"
    local = f"CAST(CAST({name} AT TIME ZONE 'UTC' AS timestamp(6)) AS varchar)"
    return f"CAST({whole} * 1000 + CAST(substr({local}, -3) AS bigint) AS varchar)"


def low(hashed: str) -> str:
    """BIGINT expression: the lower 32 bits of a hash."""
    return f"bitwise_and({hashed}, {_HALF})"


def high(hashed: str) -> str:
    """BIGINT expression: the upper 32 bits of a hash."""
    return f"bitwise_right_shift({hashed}, 32)"


def combined(low_sum: int, high_sum: int) -> int:
    """The sum modulo 2^64 of hashes whose halves add up to these."""
    return (low_sum + (high_sum << 32)) & MASK


def literal(value: str) -> str:
    """The text as a VARCHAR literal."""
    return "'" + value.replace("'", "''") + "'"


def _map_text(name: str) -> str:
    # VARCHARs sort by their UTF-8 bytes, as everywhere else.
    value = f"element_at({name}, k)"
    entry = (
        "concat(CAST(length(to_utf8(k)) AS varchar), ':', k,"
        f" coalesce(concat(CAST(length(to_utf8({value})) AS varchar), ':', {value}), '-'))"
    )
    entries = f"transform(array_sort(map_keys({name})), k -> {entry})"
    return f"coalesce(array_join({entries}, ''), '')"


def _prefixed(value: str, *, nullable: bool) -> list[str]:
    length = f"CAST(length(to_utf8({value})) AS varchar)"
    if nullable:
        return [f"coalesce(concat({length}, ':', {value}), '-')"]
    return [length, "':'", value]


def _if_present(column: Column) -> str:
    label = literal(canonical_value(column.name).decode())
    value = text(column)
    given = f"concat({label}, CAST(length(to_utf8({value})) AS varchar), ':', {value})"
    if column.type is ColumnType.MAP:
        return f"IF({value} = '', '', {given})"
    return f"coalesce({given}, '')"


def _hash(pieces: Sequence[str]) -> str:
    return f"from_big_endian_64(xxhash64(to_utf8({_joined(pieces)})))"


def _joined(pieces: Sequence[str]) -> str:
    """One concat(), or concats of concats where there are many pieces."""
    parts = list(pieces)
    while len(parts) > 1:
        groups = [parts[n : n + MOST_ARGUMENTS] for n in range(0, len(parts), MOST_ARGUMENTS)]
        parts = [f"concat({', '.join(one)})" if len(one) > 1 else one[0] for one in groups]
    return parts[0]
