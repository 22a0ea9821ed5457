"""Arrow IPC streams to arrays of a contract's column types.

Columns are found by name. Accepted types: the column's own; smaller integers and float32 where
they fit without loss; strings dictionary-encoded or large; timestamps of any unit with a zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.arrow_frames import MAX_UNCOMPRESSED_BYTES, check_frames
from ingest.contract import Column, ColumnType, Contract, UnknownFields
from ingest.json_columns import map_array
from ingest.json_payload import check_structure
from ingest.refusal import Reason, RefusedPayloadError, excerpt
from ingest.timestamps import EARLIEST_US, LATEST_US

_NARROWER: dict[ColumnType, tuple[pa.DataType, ...]] = {
    ColumnType.INT32: (pa.int8(), pa.int16(), pa.uint8(), pa.uint16()),
    ColumnType.INT64: (
        *(pa.int8(), pa.int16(), pa.int32()),
        *(pa.uint8(), pa.uint16(), pa.uint32()),
    ),
    ColumnType.FLOAT64: (pa.float32(),),
}
_MICROSECONDS = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}
_RAW_JSON = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class ArrowStream:
    """An opened payload; ``extra`` names the columns that are kept as JSON."""

    schema: pa.Schema
    extra: tuple[str, ...]
    batches: tuple[pa.RecordBatch, ...]
    rows: int


class ArrowReader:
    """Reads the Arrow payloads of one contract; holds no state between calls."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._columns = [column for column in contract.columns if column.path is not None]

    def open(self, payload: bytes) -> ArrowStream:
        """The batches of one payload, sound in themselves and with a schema that fits.

        Raises `RefusedPayloadError`.
        """
        check_frames(payload, self._contract.max_rows_per_message)
        try:
            with pa.ipc.open_stream(pa.py_buffer(payload)) as reader:
                extra = self._check_schema(reader.schema)
                batches = list(reader)
                for batch in batches:
                    batch.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _invalid(error) from error
        rows = sum(batch.num_rows for batch in batches)
        if rows == 0:
            raise RefusedPayloadError(Reason.EMPTY, "found an Arrow stream without rows")
        return ArrowStream(reader.schema, tuple(extra), tuple(batches), rows)

    def read(self, streams: Sequence[ArrowStream]) -> tuple[dict[str, pa.Array], list[str | None]]:
        """Arrays by column name of streams with one schema, and the other fields as JSON.

        The latter only where the contract keeps them, else None each. Optional columns may be
        absent from the dict. Raises `RefusedPayloadError`; the element that it names is counted
        from the first stream on.
        """
        first = streams[0]
        try:
            batches = [batch for stream in streams for batch in stream.batches]
            table = pa.Table.from_batches(batches, first.schema)
            return self._arrays(table, list(first.extra))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _invalid(error) from error

    def _check_schema(self, schema: pa.Schema) -> list[str]:
        """Names of columns that the contract does not know."""
        names: list[str] = schema.names
        if len(set(names)) < len(names):
            _refuse_schema("found two columns of one name")
        for column in self._columns:
            if column.name not in names:
                if column.required:
                    _refuse_schema(f"found no column {column.name}, expected {column.type}")
                continue
            found = schema.field(column.name).type
            if not _fits(column.type, found):
                _refuse_schema(f"{column.name}: found {found}, expected {column.type.arrow}")
        known = {column.name for column in self._columns}
        extra = [name for name in names if name not in known]
        rule = self._contract.unknown_fields
        if extra and rule is UnknownFields.REFUSE:
            detail = f"{excerpt(extra[0])}: found a column that the contract does not name"
            raise RefusedPayloadError(Reason.UNKNOWN_FIELD, detail)
        if rule is not UnknownFields.KEEP:
            return []
        for name in extra:
            if not _is_plain(schema.field(name).type):
                _refuse_schema(f"{excerpt(name)}: found a type that cannot be kept as JSON")
        return extra

    def _arrays(
        self, table: pa.Table, extra: list[str]
    ) -> tuple[dict[str, pa.Array], list[str | None]]:
        arrays: dict[str, pa.Array] = {}
        for column in self._columns:
            if column.name not in table.column_names:
                continue
            array = _converted(column, table[column.name])
            if column.required and array.null_count:
                element = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
                detail = f"element {element}, {column.name}: found null, expected a value"
                raise RefusedPayloadError(Reason.MISSING_FIELD, detail)
            arrays[column.name] = array
        rests: list[str | None] = []
        if self._contract.unknown_fields is UnknownFields.KEEP:
            rests = [_rest(row) for row in table.select(extra).to_pylist()]
        return arrays, rests or [None] * table.num_rows


def _invalid(error: Exception) -> RefusedPayloadError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RefusedPayloadError(Reason.INVALID_ARROW, text)


def _fits(kind: ColumnType, found: pa.DataType) -> bool:
    if kind is ColumnType.TIMESTAMP:
        return bool(pa.types.is_timestamp(found) and found.tz is not None)
    if kind is ColumnType.MAP:
        return bool(
            pa.types.is_map(found)
            and found.key_type == pa.string()
            and found.item_type == pa.string()
        )
    if kind.is_text or kind is ColumnType.JSON:
        value = found.value_type if pa.types.is_dictionary(found) else found
        return value in (pa.string(), pa.large_string())
    return found == kind.arrow or found in _NARROWER.get(kind, ())


def _is_plain(kind: pa.DataType) -> bool:
    types = pa.types
    text = kind in (pa.string(), pa.large_string())
    return bool(text or types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind))


def _converted(column: Column, chunks: pa.ChunkedArray) -> pa.Array:
    """The array in the column's own type."""
    if pa.types.is_dictionary(chunks.type):
        chunks = pa.chunked_array([_plain_text(chunk) for chunk in chunks.chunks], pa.string())
    array = chunks.chunk(0) if chunks.num_chunks == 1 else pa.concat_arrays(chunks.chunks)
    if column.type is ColumnType.TIMESTAMP:
        return _microseconds(array)
    if column.type is ColumnType.MAP:
        return _sorted_map(column, array)
    array = array if array.type == column.type.arrow else array.cast(column.type.arrow)
    if column.type is ColumnType.JSON:
        _check_json(column, array)
    return array


def _plain_text(encoded: pa.DictionaryArray) -> pa.StringArray:
    """Dictionary-encoded strings written out, unless that makes far more of them than came in."""
    if len(encoded) * encoded.dictionary.nbytes <= MAX_UNCOMPRESSED_BYTES:
        return encoded.cast(pa.string())
    sizes = pc.binary_length(encoded.dictionary).take(encoded.indices)
    size = pc.sum(sizes.cast(pa.int64())).as_py() or 0
    if size > MAX_UNCOMPRESSED_BYTES:
        detail = f"found a dictionary column of {size} bytes, expected {MAX_UNCOMPRESSED_BYTES}"
        raise RefusedPayloadError(Reason.INVALID_ARROW, detail)
    return encoded.dictionary_decode().cast(pa.string())


def _microseconds(array: pa.TimestampArray) -> pa.TimestampArray:
    """Moments in microseconds, cut; other units beyond every sink's range end just outside."""
    if array.type.unit == "us":
        return array.cast(ColumnType.TIMESTAMP.arrow)
    factor, divisor = _MICROSECONDS[array.type.unit]
    present = array.is_valid().to_numpy(zero_copy_only=False)
    values = array.view(pa.int64()).fill_null(0).to_numpy()
    least, most = (EARLIEST_US - 1) * divisor // factor, (LATEST_US + 1) * divisor // factor
    values = np.clip(values, least - 1, most + 1) * factor // divisor
    mask = None if present.all() else ~present
    return pa.array(values, mask=mask).cast(ColumnType.TIMESTAMP.arrow)


def _sorted_map(column: Column, array: pa.MapArray) -> pa.MapArray:
    values: list[dict[str, str] | None] = []
    if not len(array.keys):
        return map_array([None] * len(array))
    for element, pairs in enumerate(array.to_pylist()):
        if pairs and any(value is None for _, value in pairs):
            detail = f"element {element}, {column.name}: found null in a map, expected strings"
            raise RefusedPayloadError(Reason.WRONG_TYPE, detail)
        values.append(dict(pairs) if pairs else None)
    return map_array(values)


def _check_json(column: Column, array: pa.StringArray) -> None:
    for element, text in enumerate(array.to_pylist()):
        if text is None:
            continue
        try:
            check_structure(text.encode(), len(text) + 1)
            _RAW_JSON.decode(text)
        except msgspec.DecodeError as error:
            detail = f"element {element}, {column.name}: {error}"
            raise RefusedPayloadError(Reason.INVALID_JSON, detail) from error


def _rest(row: dict[str, Any]) -> str | None:
    left = {name: value for name, value in row.items() if value is not None}
    return msgspec.json.encode(left, order="sorted").decode() if left else None


def _refuse_schema(detail: str) -> None:
    raise RefusedPayloadError(Reason.ARROW_SCHEMA, detail)
