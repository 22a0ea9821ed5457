"""Arrow IPC payloads: what is accepted, what is refused, and that no declared size is trusted."""

from __future__ import annotations

import json
import resource
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import Contract, UnknownFields, load_contract
from ingest.decode import Decoded
from ingest.refusal import Reason

Decode = Callable[..., Decoded]
Reading = Callable[..., bytes]

MOMENT = 1_767_323_045_123_456
TIME = pa.timestamp("us", "UTC")
MAP = pa.map_(pa.string(), pa.string())


def columns(**changes: Any) -> dict[str, Any]:
    """Good columns of three readings, with some changed; ``...`` leaves a column out."""
    arrays = {
        "device_id": pa.array(["a", "b", "c"]),
        "metric": pa.array(["t", "t", "h"]),
        "ts": pa.array([MOMENT, MOMENT + 1, MOMENT + 2], TIME),
        "value": pa.array([1.5, 2.5, 3.5]),
        **changes,
    }
    return {name: array for name, array in arrays.items() if array is not ...}


def ipc(
    arrays: dict[str, Any],
    compression: str | None = None,
    batches: int = 1,
    *,
    deltas: bool = False,
) -> bytes:
    """The columns as an Arrow stream of one or more batches."""
    batch = pa.record_batch(list(arrays.values()), names=list(arrays))
    options = pa.ipc.IpcWriteOptions(compression=compression, emit_dictionary_deltas=deltas)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        for _ in range(batches):
            writer.write_batch(batch)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def values(result: Decoded, name: str) -> list[Any]:
    """A column of the batch as Python values; the payload must not have been refused."""
    assert result.refused == []
    found: list[Any] = result.batch.column(name).to_pylist()
    return found


def test_a_stream_is_rows_in_order_with_defaults(decode: Decode) -> None:
    """Several batches of one stream are one message; absent columns take their defaults."""
    result = decode([ipc(columns(), batches=2)])

    assert values(result, "device_id") == ["a", "b", "c"] * 2
    assert values(result, "_idx") == [0, 1, 2, 3, 4, 5]
    assert values(result, "_seq") == [101] * 6
    assert values(result, "unit") == [""] * 6
    assert values(result, "attributes") == [[]] * 6


def test_arrow_and_json_in_one_run_keep_the_order_of_messages(
    decode: Decode, reading: Reading
) -> None:
    """Kinds of payload may be mixed; rows follow the sequences."""
    json_array = b"[" + reading(value=7) + b"," + reading(value=8) + b"]"
    payloads = [reading(value=0), ipc(columns()), b"bad", json_array, ipc(columns())]

    result = decode(payloads)

    assert result.batch.column("value").to_pylist() == [0, 1.5, 2.5, 3.5, 7, 8, 1.5, 2.5, 3.5]
    assert result.batch.column("_seq").to_pylist() == [101, *[102] * 3, 104, 104, *[105] * 3]
    assert result.batch.column("_idx").to_pylist() == [0, 0, 1, 2, 0, 1, 0, 1, 2]
    assert [one.sequence for one in result.refused] == [103]


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("deltas", [False, True])
def test_dictionaries_and_compression_are_accepted(
    decode: Decode, compression: str | None, *, deltas: bool
) -> None:
    """Encoded and compressed columns are the same rows."""
    encoded = columns(
        metric=pa.array(["t", "t", "h"]).dictionary_encode(),
        site=pa.array(["x", None, "y"], pa.large_string()).dictionary_encode(),
        unit=pa.array(["Cel", None, ""], pa.large_string()),
    )

    result = decode([ipc(encoded, compression, 3, deltas=deltas)])

    assert values(result, "metric") == ["t", "t", "h"] * 3
    assert values(result, "site") == ["x", "", "y"] * 3
    assert values(result, "unit") == ["Cel", "", ""] * 3


@pytest.mark.parametrize(
    ("unit", "moment"),
    [("s", MOMENT // 10**6), ("ms", MOMENT // 1000), ("us", MOMENT), ("ns", MOMENT * 1000 + 789)],
)
def test_timestamps_of_any_unit_and_zone_are_the_same_moment(
    decode: Decode, unit: str, moment: int
) -> None:
    """A zone changes how a moment is shown, not which it is; nanoseconds are cut."""
    resolution = {"s": 10**6, "ms": 1000, "us": 1, "ns": 1}[unit]
    kind = pa.timestamp(unit, "Asia/Kathmandu")

    result = decode([ipc(columns(ts=pa.array([moment] * 3, kind)))])

    assert result.refused == []
    assert (
        result.batch.column("ts").cast("int64").to_pylist()
        == [MOMENT // resolution * resolution] * 3
    )


def test_maps_are_sorted_and_never_null(decode: Decode) -> None:
    """A map is stored as from JSON: by key, the last of equal keys, empty where absent."""
    maps = pa.array([[("b", "1"), ("a", "2"), ("b", "3")], None, []], MAP)

    result = decode([ipc(columns(attributes=maps))])

    assert values(result, "attributes") == [[("a", "2"), ("b", "3")], [], []]


NARROW = pa.array([1, 2, 3], pa.float32())
REFUSED: list[tuple[str, dict[str, Any], Reason, str]] = [
    ("missing column", {"ts": ...}, Reason.ARROW_SCHEMA, "found no column ts, expected timestamp"),
    ("other name", {"ts": ..., "time": pa.array([1] * 3, TIME)}, Reason.ARROW_SCHEMA, "ts"),
    ("text as number", {"value": pa.array(["1"] * 3)}, Reason.ARROW_SCHEMA, "value: found string"),
    ("whole as float", {"value": pa.array([1] * 3)}, Reason.ARROW_SCHEMA, "value: found int64"),
    ("half float", {"value": NARROW.cast("float16")}, Reason.ARROW_SCHEMA, "halffloat"),
    ("no zone", {"ts": pa.array([1] * 3, pa.timestamp("us"))}, Reason.ARROW_SCHEMA, "ts: found"),
    ("date as time", {"ts": pa.array([1] * 3, pa.date32())}, Reason.ARROW_SCHEMA, "ts: found date"),
    ("binary", {"metric": pa.array([b"t"] * 3)}, Reason.ARROW_SCHEMA, "metric: found binary"),
    ("view", {"metric": pa.array(["t"] * 3, pa.string_view())}, Reason.ARROW_SCHEMA, "string_view"),
    (
        "encoded numbers",
        {"metric": pa.array([1, 1, 2]).dictionary_encode()},
        Reason.ARROW_SCHEMA,
        "metric: found dictionary",
    ),
    ("list as map", {"attributes": pa.array([["a"]] * 3)}, Reason.ARROW_SCHEMA, "attributes"),
    (
        "null type",
        {"value": pa.nulls(3)},
        Reason.ARROW_SCHEMA,
        "value: found null, expected double",
    ),
    (
        "null in a required column",
        {"value": pa.array([1.0, None, 2.0])},
        Reason.MISSING_FIELD,
        "element 1, value: found null, expected a value",
    ),
    (
        "null in an encoded column",
        {"metric": pa.array(["t", "t", None]).dictionary_encode()},
        Reason.MISSING_FIELD,
        "element 2, metric: found null",
    ),
    (
        "NaN",
        {"value": pa.array([1.0, 2.0, float("nan")])},
        Reason.OUT_OF_RANGE,
        "element 2, value: found nan, expected a finite number",
    ),
    (
        "infinity",
        {"value": pa.array([float("-inf"), 1.0, 2.0])},
        Reason.OUT_OF_RANGE,
        "element 0, value: found -inf",
    ),
    (
        "too old",
        {"ts": pa.array([MOMENT, 0, MOMENT], TIME)},
        Reason.TOO_OLD,
        "element 1, ts: found an event",
    ),
    (
        "beyond every sink",
        {"ts": pa.array([MOMENT // 10**6, 2**63 - 1, 0], pa.timestamp("s", "UTC"))},
        Reason.OUT_OF_RANGE,
        "element 1, ts: expected the years 1900 to 2299",
    ),
    (
        "null in a map",
        {"attributes": pa.array([[], [("a", None)], []], MAP)},
        Reason.WRONG_TYPE,
        "element 1, attributes: found null in a map",
    ),
    (
        "no rows",
        {name: array.slice(0, 0) for name, array in columns().items()},
        Reason.EMPTY,
        "without rows",
    ),
]


@pytest.mark.parametrize(
    ("change", "reason", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_another_schema_or_value_is_refused(
    decode: Decode, change: dict[str, Any], reason: Reason, says: str
) -> None:
    """The stream is refused whole, with column and types; its neighbours are stored."""
    good = ipc(columns())

    result = decode([good, ipc(columns(**change)), good])

    assert [(one.sequence, one.reason) for one in result.refused] == [(102, reason)]
    assert says in result.refused[0].detail
    assert result.batch.column("_seq").to_pylist() == [101] * 3 + [103] * 3


def test_two_columns_of_one_name_are_refused(decode: Decode) -> None:
    """Which of them is meant cannot be known."""
    arrays = columns()
    batch = pa.record_batch([*arrays.values(), arrays["value"]], names=[*arrays, "value"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)

    result = decode([sink.getvalue().to_pybytes()])

    assert [one.reason for one in result.refused] == [Reason.ARROW_SCHEMA]
    assert "two columns of one name" in result.refused[0].detail


def test_a_column_with_bytes_that_are_not_utf8_is_refused(decode: Decode) -> None:
    """A string column is checked to be UTF-8, as JSON is."""
    payload = ipc(columns(device_id=pa.array(["aaaa", "b", "c"])))
    broken = payload.replace(b"aaaabc", b"a\xff\xfeabc")
    assert broken != payload

    result = decode([broken])

    assert [one.reason for one in result.refused] == [Reason.INVALID_ARROW]


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 100, 300, -16, -8, -1])
def test_a_stream_that_is_cut_off_is_refused(decode: Decode, cut: int) -> None:
    """Also between two batches, where only the missing end mark tells."""
    payload = ipc(columns())[:cut]

    result = decode([payload])

    assert len(result.refused) == 1
    assert result.batch.num_rows == 0


def test_bytes_after_the_end_are_refused(decode: Decode) -> None:
    """A second stream, or anything else, does not hide behind the first."""
    payload = ipc(columns())

    for more in (b"\x00", b"{}", payload):
        result = decode([payload + more])
        assert [one.reason for one in result.refused] == [Reason.INVALID_ARROW]
        assert "after the end of the stream" in result.refused[0].detail


def test_a_stream_of_more_rows_than_allowed_is_refused(decode: Decode) -> None:
    """The rows of all batches count together."""
    payload = ipc(columns(), batches=2)
    contract = load_contract("readings")

    assert values(decode([payload], replace(contract, max_rows_per_message=6)), "_idx")[-1] == 5
    result = decode([payload], replace(contract, max_rows_per_message=5))
    assert [one.reason for one in result.refused] == [Reason.TOO_MANY_ROWS]


def test_unknown_columns_follow_the_contract(decode: Decode) -> None:
    """They are ignored, refused by name, or kept as JSON text."""
    more = columns(zz=pa.array([1, None, 3]), aa=pa.array(["x", "y", None]))
    readings = load_contract("readings")
    refuse = replace(readings, unknown_fields=UnknownFields.REFUSE)

    assert values(decode([ipc(more)]), "device_id") == ["a", "b", "c"]
    refused = decode([ipc(more)], refuse).refused
    assert [(one.reason, one.detail.split(":")[0]) for one in refused] == [
        (Reason.UNKNOWN_FIELD, "'zz'")
    ]
    kept = weather_stream(zz=pa.array([1, None]), aa=pa.array(["x", None]))
    result = decode([kept], "weather", "weather.np.ktm")
    assert values(result, "extra") == ['{"aa":"x","zz":1}', None]
    odd = weather_stream(zz=pa.array([b"1", b"2"]))
    result = decode([odd], "weather", "weather.np.ktm")
    assert [one.reason for one in result.refused] == [Reason.ARROW_SCHEMA]


def weather_stream(**more: Any) -> bytes:
    """Two rows for the weather contract."""
    moments = pa.array([MOMENT, None], TIME)
    return ipc({"observed_at": moments, "temperature": pa.array([1.0, 2.0]), **more})


def test_smaller_numbers_fit_the_wider_column(decode: Decode) -> None:
    """A producer that still sends the narrower type goes on after a column has widened."""
    result = decode(
        [
            ipc(columns(value=NARROW)),
            weather_stream(wind_direction=pa.array([255, None], pa.uint8())),
        ]
    )
    assert result.batch.column("value").to_pylist() == [1.0, 2.0, 3.0]

    stream = weather_stream(wind_direction=pa.array([255, None], pa.uint8()))
    assert values(decode([stream], "weather", "weather.a.b"), "wind_direction") == [255, None]


def test_json_columns_of_a_stream_hold_json(decode: Decode) -> None:
    """Text that is not JSON, or nested too deep, is refused as in a JSON payload."""
    contract = json_contract()
    good = columns(doc=pa.array(['{"a": 1e999}', None, "[]"]))

    assert values(decode([ipc(good)], contract), "doc") == ['{"a": 1e999}', None, "[]"]
    for text in ("{", "", "1 2", "[" * 65 + "]" * 65):
        result = decode([ipc(columns(doc=pa.array(["{}", text, "{}"])))], contract)
        assert len(result.refused) == 1, text


def json_contract() -> Contract:
    """The readings contract with a JSON column."""
    document = json.loads(load_contract("readings").to_json())
    document["columns"].append({"name": "doc", "type": "json"})
    return Contract.from_json(json.dumps(document))


def test_a_dictionary_that_multiplies_is_refused_unseen(decode: Decode) -> None:
    """A megabyte referred to ten thousand times would be ten gigabytes of strings."""
    indices = pa.array(np.zeros(10_000, np.int32))
    huge = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * (1 << 20)]))
    many = {
        "device_id": huge,
        "metric": pa.array(["t"] * 10_000),
        "ts": pa.array([MOMENT] * 10_000, TIME),
        "value": pa.array([1.0] * 10_000),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    result = decode([ipc(many)])

    assert [one.reason for one in result.refused] == [Reason.INVALID_ARROW]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_a_compressed_buffer_that_declares_a_terabyte_is_refused_unseen(decode: Decode) -> None:
    """The declared length stands in front of a buffer and is read before Arrow allocates."""
    text = pa.array(["x" * 5_000] * 3)
    payload = ipc(columns(device_id=text), "zstd")
    length = struct.pack("<q", 15_000)
    assert length in payload
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    result = decode([payload.replace(length, struct.pack("<q", 1 << 40))])

    assert [one.reason for one in result.refused] == [Reason.INVALID_ARROW]
    assert "bytes compressed, expected at most 67108864" in result.refused[0].detail
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_batch_that_declares_a_trillion_rows_is_refused(decode: Decode) -> None:
    """Rows are counted as declared, whatever the buffers hold."""
    payload = ipc(columns())
    three = struct.pack("<qq", 3, 0)
    assert three in payload

    result = decode([payload.replace(three, struct.pack("<qq", 1 << 40, 0))])

    assert len(result.refused) == 1
    assert result.refused[0].reason in (Reason.TOO_MANY_ROWS, Reason.INVALID_ARROW)


SEEDS = [
    ipc(columns(attributes=pa.array([[("a", "b")], None, []], MAP))),
    ipc(columns(metric=pa.array(["t", "t", "h"]).dictionary_encode()), batches=2),
    ipc(columns(unit=pa.array(["Cel", None, ""])), "lz4"),
    ipc(columns(), "zstd"),
]


@given(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8), st.booleans()),
        min_size=1,
        max_size=6,
    ),
)
def test_damaged_streams_never_raise_and_never_touch_a_neighbour(
    decode: Decode, seed: bytes, damages: list[tuple[int, bytes, bool]]
) -> None:
    """Any overwritten or inserted bytes give rows or a refusal, the same each time."""
    damaged = bytearray(seed)
    for at, what, insert in damages:
        start = at % len(damaged)
        damaged[start : start if insert else start + len(what)] = what
    payload = b"\xff\xff\xff\xff" + bytes(damaged[4:])
    good = ipc(columns())

    result = decode([good, payload, good])

    result.batch.validate(full=True)
    stored = set(result.batch.column("_seq").to_pylist())
    assert stored | {one.sequence for one in result.refused} == {101, 102, 103}
    assert {101, 103} <= stored
    again = decode([good, payload, good])
    assert again.batch.equals(result.batch)
    assert again.refused == result.refused
