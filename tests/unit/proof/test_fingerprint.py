"""The canonical bytes of a row, spelled out."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh64_intdigest

from ingest.fingerprint import (
    canonical_bytes,
    canonical_value,
    float_bits,
    hash_of,
    hexadecimal,
    row_hashes,
    total,
    value_hashes,
)
from simulator.manifest import canonical_reading
from simulator.readings import Reading

Texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
Finite = st.floats(allow_nan=False, allow_infinity=False)


def one(array: pa.Array) -> bytes:
    """Canonical bytes of a single value."""
    rows = pa.RecordBatch.from_arrays([array], ["c"])
    value: bytes = canonical_bytes(rows, ["c"])[0].as_py()
    return value


def test_every_type_has_its_text() -> None:
    """One value of each type, as the definition says."""
    moment = pa.timestamp("us", "UTC")
    strings = pa.map_(pa.string(), pa.string())

    assert one(pa.array(["é😀"])) == "6:é😀".encode()
    assert one(pa.array([""])) == b"0:"
    assert one(pa.array([None], pa.string())) == b"-"
    assert one(pa.array([-12])) == b"3:-12"
    assert one(pa.array([True])) == b"1:1"
    assert one(pa.array([-0.0])) == b"20:-9223372036854775808"
    assert one(pa.array([5e-324])) == b"1:1"
    assert one(pa.array([0.5], pa.float32())) == one(pa.array([0.5]))
    assert one(pa.array([-1], moment)) == b"2:-1"
    assert one(pa.array([-719162], pa.date32())) == b"7:-719162"
    assert one(pa.array([{"b": "2", "a": "é"}], strings)) == "13:1:a2:é1:b1:2".encode()
    assert one(pa.array([{}], strings)) == one(pa.array([None], strings)) == b"0:"
    assert one(pa.array(["x" * 5000])) == b"5000:" + b"x" * 5000


@given(st.lists(st.dictionaries(Texts, Texts, max_size=4), min_size=1, max_size=20), st.data())
def test_maps_do_not_depend_on_order_or_slice(
    maps: list[dict[str, str]], data: st.DataObject
) -> None:
    """Entries count in the order of their keys' bytes, in a slice as in the whole."""
    kind = pa.map_(pa.string(), pa.string())
    shuffled = [dict(reversed(one.items())) for one in maps]
    start = data.draw(st.integers(0, len(maps) - 1))

    def texts(values: list[dict[str, str]], first: int) -> list[bytes]:
        array = pa.array(values, kind)
        rows = pa.RecordBatch.from_arrays([array], ["m"]).slice(first)
        found: list[bytes] = canonical_bytes(rows, ["m"]).to_pylist()
        return found

    def spelled(entries: dict[str, str]) -> bytes:
        ordered = sorted(entries.items(), key=lambda item: item[0].encode())
        return canonical_value(
            "".join((b"".join(map(canonical_value, e))).decode() for e in ordered)
        )

    assert texts(maps, start) == texts(shuffled, start) == [spelled(m) for m in maps[start:]]


@given(Texts, Texts, Texts, st.integers(-(2**60), 2**60), Finite, Texts)
def test_the_simulator_counts_readings_alike(
    device: str, site: str, metric: str, ts_us: int, value: float, unit: str
) -> None:
    """A reading has the same bytes in the sender's manifest and in the proof."""
    reading = Reading(device, site, metric, ts_us, value, unit)
    arrays = [
        pa.array([device]),
        pa.array([site]),
        pa.array([metric]),
        pa.array([ts_us], pa.timestamp("us", "UTC")),
        pa.array([value]),
        pa.array([unit]),
    ]
    names = ["device_id", "site", "metric", "ts", "value", "unit"]
    rows = pa.RecordBatch.from_arrays(arrays, names)

    assert canonical_bytes(rows, names)[0].as_py() == canonical_reading(reading)
    expected = hash_of((device, site, metric, ts_us, float(value), unit))
    assert value_hashes(rows, names).tolist() == [expected]


@given(Finite)
def test_float_bits_are_those_of_the_double(value: float) -> None:
    """The integer has the bits of the number, sign and all."""
    assert struct.pack("<q", float_bits(value)) == struct.pack("<d", value)


def batch(**more: pa.Array) -> pa.RecordBatch:
    """Two rows with metadata columns."""
    moment = pa.timestamp("us", "UTC")
    columns = {
        "a": pa.array(["x", None]),
        **more,
        "_seq": pa.array([1, 2]),
        "_idx": pa.array([0, 0], pa.int32()),
        "_stored_at": pa.array([10, 20], moment),
    }
    return pa.RecordBatch.from_pydict(columns)


def test_a_row_ends_with_its_place() -> None:
    """Columns come first, then _seq, _idx and _stored_at."""
    expected = [xxh64_intdigest(b"1:x1:11:02:10"), xxh64_intdigest(b"-1:21:02:20")]

    assert row_hashes(batch(), ["a"]).tolist() == expected


def test_a_later_column_counts_only_where_it_has_a_value() -> None:
    """Adding a column leaves old rows' hashes; a value that turns up there changes them."""
    before = row_hashes(batch(), ["a"])
    added = batch(b=pa.array([None, 7], pa.int32()))

    assert row_hashes(added, ["a"], ["b"])[0] == before[0]
    assert row_hashes(added, ["a"], ["b"])[1] == xxh64_intdigest(b"-1:21:02:201:b1:7")


def test_sums_wrap_around() -> None:
    """The sum is modulo 2^64 and does not depend on the order."""
    hashes = np.array([2**64 - 1, 5], np.uint64)

    assert total(hashes) == total(hashes[::-1]) == 4
    assert hexadecimal(4) == "0000000000000004"
