"""From Python values decoded out of JSON to Arrow arrays of a contract's column types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.contract import Column, ColumnType, TimeFormat
from ingest.json_struct import NULL
from ingest.messages import Int64Array
from ingest.refusal import Reason, excerpt
from ingest.timestamps import EARLIEST_US, LATEST_US, date_column, rfc3339_column

Report = Callable[[Any, Reason, Callable[[int], str]], None]
"""Called with row numbers, a reason and what to say about a row."""

_MICROSECONDS = {TimeFormat.EPOCH_S: 1_000_000, TimeFormat.EPOCH_MS: 1_000}


def wire_array(column: Column, values: list[Any]) -> pa.Array:
    """An Arrow array of the values as they were sent; nothing is lost or refused yet.

    RFC 3339 timestamps, dates and JSON are strings, epochs int64 microseconds, floats float64.
    """
    kind = column.type
    if kind is ColumnType.TIMESTAMP and column.format is not TimeFormat.RFC3339:
        return _epochs(values, column.format)
    if kind is ColumnType.JSON:
        texts = [None if raw is None or raw == NULL else str(raw, "utf-8") for raw in values]
        return pa.array(texts, pa.string())
    if kind is ColumnType.MAP:
        return map_array(values)
    return pa.array(values, _WIRE_TYPES.get(kind, kind.arrow))


def absent_array(column: Column, count: int) -> pa.Array:
    """What `wire_array` gives for ``count`` readings without a value."""
    if column.type is ColumnType.TIMESTAMP and column.format is not TimeFormat.RFC3339:
        return pa.nulls(count, pa.int64())
    if column.type is ColumnType.MAP:
        return map_array([None] * count)
    return pa.nulls(count, _WIRE_TYPES.get(column.type, column.type.arrow))


_WIRE_TYPES = {
    ColumnType.TIMESTAMP: pa.string(),
    ColumnType.DATE: pa.string(),
    ColumnType.FLOAT32: pa.float64(),
    ColumnType.JSON: pa.string(),
}


def map_array(values: Sequence[dict[str, str] | None]) -> pa.MapArray:
    """A map array without nulls: absent is empty, entries are sorted by key."""
    if not any(values):
        offsets = pa.array(np.zeros(len(values) + 1, np.int32))
        return pa.MapArray.from_arrays(offsets, *[pa.array([], pa.string())] * 2)
    pairs = [sorted(value.items()) if value else () for value in values]
    return pa.array(pairs, ColumnType.MAP.arrow)


def _epochs(values: list[Any], unit: TimeFormat | None) -> pa.Int64Array:
    """Epoch numbers as microseconds; those beyond every sink's range end just outside of it."""
    if set(map(type, values)) == {int}:
        return whole_epochs(np.array(values, np.int64), unit)
    factor, divisor = _scale(unit)
    moments = [None if one is None else _moment(one, factor, divisor) for one in values]
    return pa.array(moments, pa.int64())


def whole_epochs(numbers: Int64Array, unit: TimeFormat | None) -> pa.Int64Array:
    """Whole epoch numbers as microseconds; see `wire_array`."""
    factor, divisor = _scale(unit)
    least, most = (EARLIEST_US - 1) * divisor // factor, (LATEST_US + 1) * divisor // factor
    return pa.array(np.clip(numbers, least - 1, most + 1) * factor // divisor)


def _scale(unit: TimeFormat | None) -> tuple[int, int]:
    """What to multiply by, and then to divide by, for microseconds."""
    factor = _MICROSECONDS.get(unit, 1) if unit is not None else 1
    return factor, 1_000 if unit is TimeFormat.EPOCH_NS else 1


def _moment(value: float, factor: int, divisor: int) -> int:
    scaled = value * factor
    if isinstance(value, float):
        bounded = max(min(scaled, float(LATEST_US * 2)), float(EARLIEST_US * 2))
        return max(EARLIEST_US - 1, min(LATEST_US + 1, round(bounded)))
    return max(EARLIEST_US - 1, min(LATEST_US + 1, int(scaled) // divisor))


def finished_array(column: Column, wire: pa.Array, report: Report) -> pa.Array:
    """The array in the column's own type; rows that cannot be are reported and left null."""
    kind = column.type
    if column.required and wire.null_count:
        rows = np.flatnonzero(wire.is_null().to_numpy(zero_copy_only=False))
        report(rows, Reason.MISSING_FIELD, lambda _: "found null, expected a value")
    if kind is ColumnType.TIMESTAMP and pa.types.is_string(wire.type):
        values, valid = rfc3339_column(wire)
        expected = "an RFC 3339 timestamp with a zone"
        return _parsed(wire, values, valid, expected, report).cast(kind.arrow)
    if kind is ColumnType.DATE:
        values, valid = date_column(wire)
        days = _parsed(wire, values, valid, "a date as YYYY-MM-DD", report)
        return days.cast(pa.int32()).cast(kind.arrow)
    if kind is ColumnType.FLOAT32:
        return _narrowed(wire, report)
    return wire if wire.type == kind.arrow else wire.cast(kind.arrow)


def _parsed(
    wire: pa.StringArray, values: Any, valid: Any, expected: str, report: Report
) -> pa.Int64Array:
    if valid.all():
        return pa.array(values)
    present = wire.is_valid().to_numpy(zero_copy_only=False)
    report(
        np.flatnonzero(present & ~valid),
        Reason.BAD_TIMESTAMP,
        lambda row: f"found {excerpt(wire[row].as_py())}, expected {expected}",
    )
    return pa.array(values, mask=~valid)


def _narrowed(wire: pa.DoubleArray, report: Report) -> pa.FloatArray:
    """Nearest float32 of each value; those that would be infinite are reported."""
    present = wire.is_valid().to_numpy(zero_copy_only=False)
    values = wire.fill_null(0.0).to_numpy() if wire.null_count else wire.to_numpy()
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    beyond = np.isinf(narrow) & np.isfinite(values)
    if beyond.any():
        report(
            np.flatnonzero(beyond),
            Reason.OUT_OF_RANGE,
            lambda row: f"found {float(values[row])}, expected a number that fits float32",
        )
    return pa.array(narrow, mask=None if present.all() else ~present)
