"""The canonical bytes of a row and their hash, the same in Python, ClickHouse and Trino.

For each column ``<byte length>:<text>``, and ``-`` for null, concatenated without separators:

- text is UTF-8, JSON its stored text; integers are decimal; booleans ``1`` or ``0``;
- a float is the signed decimal int64 that has the bits of the IEEE 754 double (a float32 is
  widened first, which is exact, so a column that was widened keeps its fingerprint);
- a timestamp is decimal microseconds, a date decimal days, both since the Unix epoch and signed;
- a map is the concatenation of its entries sorted by key, key and value each length-prefixed. A
  missing map equals an empty one.

A row is the columns of the contract version in force for its message, in that version's order,
then ``_seq``, ``_idx`` and ``_stored_at``; then, only where they hold a value, columns of later
versions, each after its own name. So a range keeps its fingerprint when a column is added later,
and a value that turns up where none can be is seen. The hash is XXH64 with seed 0; a range's
fingerprint is the number of rows and the sum of their hashes modulo 2^64, whatever the order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh64_intdigest

Value = str | float | None
"""Also int and bool, which are floats to the type checker."""
UInt64Array = npt.NDArray[np.uint64]

ROW_COLUMNS = ("_seq", "_idx", "_stored_at")
"""Metadata columns that are part of a row's canonical bytes, after the contract's own."""
MASK = (1 << 64) - 1
CHUNK_ROWS = 16_384
_BITS = struct.Struct("<q")
_DOUBLE = struct.Struct("<d")
_SHORT = 4_096
_PREFIXES = pa.array([f"{length}:" for length in range(_SHORT)])


def float_bits(value: float) -> int:
    """The signed int64 with the bits of the IEEE 754 double."""
    bits: int = _BITS.unpack(_DOUBLE.pack(value))[0]
    return bits


def canonical_value(value: Value) -> bytes:
    """``<byte length>:<text>`` of one value, ``-`` of None; times come as integers."""
    if value is None:
        return b"-"
    if isinstance(value, float):
        value = float_bits(value)
    text = str(int(value) if isinstance(value, bool) else value).encode()
    return b"%d:%b" % (len(text), text)


def hash_of(values: Sequence[Value]) -> int:
    """XXH64 of the values' canonical bytes, 0 to 2^64 - 1."""
    return xxh64_intdigest(b"".join(map(canonical_value, values)))


def row_hashes(
    rows: pa.RecordBatch, columns: Sequence[str], later: Sequence[str] = ()
) -> UInt64Array:
    """XXH64 of every row's canonical bytes, uint64, in the order of the rows.

    ``columns`` are those of the contract version in force, ``later`` those added after it.
    """
    return value_hashes(rows, (*columns, *ROW_COLUMNS), later)


def value_hashes(
    rows: pa.RecordBatch, columns: Sequence[str], later: Sequence[str] = ()
) -> UInt64Array:
    """As ``row_hashes``, of exactly the columns named."""
    hashes = np.empty(rows.num_rows, np.uint64)
    for start in range(0, rows.num_rows, CHUNK_ROWS):
        texts = canonical_bytes(rows.slice(start, CHUNK_ROWS), columns, later).to_pylist()
        hashes[start : start + len(texts)] = np.fromiter(
            map(xxh64_intdigest, texts), np.uint64, len(texts)
        )
    return hashes


def canonical_bytes(
    rows: pa.RecordBatch, columns: Sequence[str], later: Sequence[str] = ()
) -> pa.BinaryArray:
    """Canonical bytes of the columns named, row by row; of ``later`` where there is a value."""
    pieces: list[pa.Array | str] = []
    for name in columns:
        pieces += _prefixed(canonical_texts(rows.column(name)))
    for name in later:
        if name in rows.schema.names:
            pieces.append(_if_present(name, canonical_texts(rows.column(name))))
    return pc.binary_join_element_wise(*pieces, "").cast(pa.binary())


def canonical_texts(column: pa.Array) -> pa.StringArray:
    """The text of every value, null where there is none; a missing map is empty."""
    kind = column.type
    if pa.types.is_map(kind):
        return _map_texts(column)
    if pa.types.is_floating(kind):
        return column.cast(pa.float64()).view(pa.int64()).cast(pa.string())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz)).view(pa.int64()).cast(pa.string())
    if pa.types.is_date32(kind):
        return column.view(pa.int32()).cast(pa.string())
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8()).cast(pa.string())
    return column.cast(pa.string())


def total(hashes: UInt64Array) -> int:
    """Sum modulo 2^64."""
    return int(hashes.sum(dtype=np.uint64))


def hexadecimal(fingerprint: int) -> str:
    """16 hexadecimal digits."""
    return f"{fingerprint & MASK:016x}"


def _prefixed(texts: pa.StringArray) -> list[pa.Array]:
    """Length prefixes and texts as arrays without nulls, to be joined row by row."""
    prefixes = _lengths(texts)
    if texts.null_count:
        return [pc.fill_null(prefixes, "-"), pc.fill_null(texts, "")]
    return [prefixes, texts]


def _lengths(texts: pa.StringArray) -> pa.StringArray:
    lengths = pc.binary_length(texts)
    longest = pc.max(lengths).as_py() or 0
    if longest < _SHORT:
        return _PREFIXES.take(lengths)
    return pc.binary_join_element_wise(lengths.cast(pa.string()), ":", "")


def _if_present(name: str, texts: pa.StringArray) -> pa.StringArray:
    """``<name, prefixed><value, prefixed>`` where there is a value, else nothing."""
    label = canonical_value(name).decode()
    absent = pc.or_kleene(pc.is_null(texts), pc.equal(texts, ""))
    given = pc.binary_join_element_wise(label, *_prefixed(texts), "")
    return pc.if_else(pc.fill_null(absent, fill_value=True), "", given)


def _map_texts(column: pa.MapArray) -> pa.StringArray:
    """Entries sorted by key, each key and value prefixed by its length."""
    count = len(column)
    if count == 0 or column.offsets[0] == column.offsets[-1]:
        return pa.repeat("", count)
    # A copy starts at offset 0 and holds no entries under null rows.
    column = column.take(pa.array(np.arange(count)))
    offsets = column.offsets
    rows = np.repeat(np.arange(count), np.diff(offsets.to_numpy()))
    entries = pa.table({"row": rows, "key": column.keys, "value": column.items})
    order = [("row", "ascending"), ("key", "ascending"), ("value", "ascending")]
    ordered = entries.take(pc.sort_indices(entries, sort_keys=order)).combine_chunks()
    keys, values = (
        ordered.column(name).combine_chunks().cast(pa.string()) for name in ("key", "value")
    )
    texts = pc.binary_join_element_wise(*_prefixed(keys), *_prefixed(values), "")
    return pc.binary_join(pa.ListArray.from_arrays(offsets, texts), "")
