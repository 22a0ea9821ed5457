"""Each kind of bad JSON is refused with its reason, named by element and column."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from ingest.contract import Column, ColumnType, Contract, TimeFormat, UnknownFields, load_contract
from ingest.decode import Decoded
from ingest.json_payload import MAX_DEPTH
from ingest.refusal import Reason

Decode = Callable[..., Decoded]
Reading = Callable[..., bytes]

PLAIN = '{"device_id":"d1","metric":"m","ts":"2026-01-02T03:04:05Z","value":%s}'


def with_value(text: str) -> bytes:
    """A reading whose value is this JSON text."""
    return (PLAIN % text).encode()


def nested(depth: int) -> bytes:
    """A reading with an unknown field, nested so that the whole has this depth."""
    return with_value("1," + '"x":' + "[" * (depth - 1) + "]" * (depth - 1))


BAD: list[tuple[str, bytes, Reason, str]] = [
    ("empty", b"", Reason.EMPTY, "found no bytes"),
    ("white space", b" \t\r\n", Reason.EMPTY, "found no bytes"),
    ("empty array", b"[]", Reason.EMPTY, "array without elements"),
    ("not json", b"hello", Reason.INVALID_JSON, "found b'h' at the start"),
    ("a number", b"42", Reason.INVALID_JSON, "found b'4' at the start"),
    ("a string", b'"text"', Reason.INVALID_JSON, "at the start"),
    ("byte order mark", b"\xef\xbb\xbf{}", Reason.INVALID_JSON, "at the start"),
    ("cut off", with_value("1")[:-5], Reason.INVALID_JSON, "truncated"),
    ("two documents", with_value("1") * 2, Reason.INVALID_JSON, "trailing characters"),
    (
        "two lines",
        with_value("1") + b"\n" + with_value("2"),
        Reason.INVALID_JSON,
        "trailing characters",
    ),
    ("trailing zero byte", with_value("1") + b"\x00", Reason.INVALID_JSON, "trailing"),
    ("trailing comma", b"[" + with_value("1") + b",]", Reason.INVALID_JSON, "trailing comma"),
    ("NaN", with_value("NaN"), Reason.INVALID_JSON, "invalid character"),
    ("Infinity", with_value("-Infinity"), Reason.INVALID_JSON, "invalid"),
    ("leading zero", with_value("01"), Reason.INVALID_JSON, "invalid number"),
    ("single quotes", b"{'device_id':'d1'}", Reason.INVALID_JSON, "JSON is malformed"),
    ("raw line end in a string", with_value('"a\nb"'), Reason.INVALID_JSON, "invalid character"),
    ("lone surrogate", with_value('1,"unit":"\\udc00"'), Reason.INVALID_JSON, "surrogate"),
    ("huge exponent", with_value("1e400"), Reason.OUT_OF_RANGE, "value: found '1e400'"),
    ("400 digits", with_value("1" * 400), Reason.OUT_OF_RANGE, "value: found"),
    ("5000 digits", with_value("1" * 5000), Reason.OUT_OF_RANGE, "value: found"),
    ("number as text", with_value('"1"'), Reason.WRONG_TYPE, "value: found a string '1'"),
    ("boolean as number", with_value("true"), Reason.WRONG_TYPE, "value: found a boolean True"),
    ("object as number", with_value("{}"), Reason.WRONG_TYPE, "value: found an object {}"),
    (
        "number as text column",
        with_value("1").replace(b'"d1"', b"7"),
        Reason.WRONG_TYPE,
        "element 0, device_id: found a number 7, expected a string",
    ),
    ("null", with_value("null"), Reason.MISSING_FIELD, "value: found null, expected a value"),
    (
        "missing",
        b'{"device_id":"d1","metric":"m","value":1}',
        Reason.MISSING_FIELD,
        "element 0, ts: found nothing, expected a value",
    ),
    ("empty object", b"{}", Reason.MISSING_FIELD, "device_id: found nothing"),
    ("array of numbers", b"[1]", Reason.WRONG_TYPE, "element 0, found a number, expected an obj"),
    ("array in array", b"[[]]", Reason.WRONG_TYPE, "element 0, found an array"),
    (
        "invalid UTF-8 in a column",
        with_value('1,"unit":"?"').replace(b"?", b"\xff"),
        Reason.INVALID_UTF8,
        "",
    ),
    ("map of numbers", with_value('1,"attributes":{"a":1}'), Reason.WRONG_TYPE, "key 'a': found"),
    ("map with null", with_value('1,"attributes":{"a":null}'), Reason.WRONG_TYPE, "found null"),
    ("map as array", with_value('1,"attributes":[]'), Reason.WRONG_TYPE, "expected an object"),
    (
        "no zone",
        with_value("1").replace(b"05Z", b"05"),
        Reason.BAD_TIMESTAMP,
        "element 0, ts: found '2026-01-02T03:04:05', expected an RFC 3339 timestamp with a zone",
    ),
    ("no date", with_value("1").replace(b"01-02T", b"02-30T"), Reason.BAD_TIMESTAMP, "02-30T"),
    (
        "epoch number",
        with_value("1").replace(b'"2026-01-02T03:04:05Z"', b"1767323045"),
        Reason.WRONG_TYPE,
        "ts: found a number 1767323045, expected a string",
    ),
    ("before 1900", with_value("1").replace(b"2026", b"1899"), Reason.OUT_OF_RANGE, "1900 to 2299"),
    ("after 2299", with_value("1").replace(b"2026", b"2300"), Reason.OUT_OF_RANGE, "1900 to 2299"),
    (
        "too old",
        with_value("1").replace(b"2026-01-02T03:04:05Z", b"2025-12-03T03:59:59Z"),
        Reason.TOO_OLD,
        "ts: found an event 2592001.123 s before its message was stored, expected at most 2592000",
    ),
    (
        "too far ahead",
        with_value("1").replace(b"2026-01-02T03:04:05Z", b"2026-01-02T05:00:01Z"),
        Reason.TOO_FAR_AHEAD,
        "ts: found an event 3600.877 s after its message was stored, expected at most 3600 s",
    ),
    ("too deep", nested(MAX_DEPTH + 1), Reason.TOO_DEEP, "found 65 nested levels"),
    ("100,000 deep", nested(100_000), Reason.TOO_DEEP, "found 100000 nested levels"),
    ("unclosed and deep", b"[" * 500_000, Reason.TOO_DEEP, "found 500000 nested levels"),
    (
        "one bad element",
        b"[" + with_value("1") + b"," + with_value("true") + b"]",
        Reason.WRONG_TYPE,
        "element 1, value: found a boolean",
    ),
    (
        "one late element",
        b"[" + with_value("1") + b"," + with_value("1").replace(b"2026", b"2020") + b"]",
        Reason.TOO_OLD,
        "element 1, ts: found an event",
    ),
    (
        "too many rows",
        b"[" + b",".join([with_value("1")] * 10_001) + b"]",
        Reason.TOO_MANY_ROWS,
        "found 10001 elements, expected at most 10000",
    ),
    (
        "8 MiB and a byte",
        with_value('1,"unit":"' + "x" * (8 << 20) + '"'),
        Reason.TOO_LARGE,
        "bytes, expected at most 8388608",
    ),
]


@pytest.mark.parametrize(
    ("payload", "reason", "says"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "among others"])
def test_bad_json_is_refused_and_its_neighbours_are_not(
    decode: Decode, reading: Reading, payload: bytes, reason: Reason, says: str, *, alone: bool
) -> None:
    """The message is refused whole with reason and detail; others keep rows and sequences."""
    around = [] if alone else [reading(value=1.0)] * 5
    payloads = [*around, payload, *around]

    result = decode(payloads)

    assert [(one.sequence, one.payload, one.reason) for one in result.refused] == [
        (101 + len(around), payload, reason)
    ]
    assert says in result.refused[0].detail
    expected = [101 + at for at in range(len(payloads)) if at != len(around)]
    assert result.batch.column("_seq").to_pylist() == expected
    assert set(result.batch.column("value").to_pylist()) <= {1.0}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"device_id":"d1","metric":"m","ts":"2026-01-02T03:04:05Z","value":1,"x":"\xff"}',
        b'{"device_id":"d1","metric":"m","ts":"2026-01-02T03:04:05Z","value":1,"\xc0\x80":1}',
        b'[{"device_id":"d1","metric":"m","ts":"2026-01-02T03:04:05Z","value":1,"x":["\xed\xa0\x80"]}]',
    ],
)
def test_invalid_utf8_is_refused_where_no_column_reads_it(decode: Decode, payload: bytes) -> None:
    """Bytes of a field that is skipped are checked too: the decoder itself would not."""
    result = decode([payload])

    assert [one.reason for one in result.refused] == [Reason.INVALID_UTF8]
    assert "expected UTF-8" in result.refused[0].detail


GOOD: list[tuple[str, bytes, float]] = [
    ("integer", with_value("7"), 7.0),
    ("exponent", with_value("1e-3"), 0.001),
    ("largest", with_value("1.7976931348623157e308"), 1.7976931348623157e308),
    ("below the smallest", with_value("1e-400"), 0.0),
    ("white space around", b" \r\n\t" + with_value("1") + b" \n", 1.0),
    ("white space before an array", b"\n [" + with_value("1") + b"]", 1.0),
    ("key twice, the last counts", with_value('1,"value":2'), 2.0),
    ("unknown fields", with_value('3,"x":{"a":[1,null]},"y":1e999'), 3.0),
    ("deep enough", nested(MAX_DEPTH), 1.0),
    ("brackets in strings", with_value('1,"x":"' + "[{" * 1000 + '"'), 1.0),
    ("quotes in strings", with_value('1,"x":"' + '\\"{\\\\' * 100 + '"'), 1.0),
    ("earliest allowed", with_value("1").replace(b"01-02T03:04:05Z", b"01-01T00:00:00Z"), 1.0),
]


@pytest.mark.parametrize(
    ("payload", "value"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD]
)
def test_unusual_json_that_means_one_thing_is_stored(
    decode: Decode, payload: bytes, value: float
) -> None:
    """What JSON allows and no column contradicts is a row."""
    result = decode([payload])

    assert result.refused == []
    assert result.batch.column("value").to_pylist() == [value]


def test_characters_of_every_kind_arrive_unchanged(decode: Decode, reading: Reading) -> None:
    """Zero characters, escapes and those outside the basic plane are data."""
    text = '\x00\x1f"\\/é\u2028\U0001f321'

    result = decode([reading(device_id=text, attributes={text: text})])

    row = result.batch.to_pylist()[0]
    assert row["device_id"] == text
    assert row["attributes"] == [(text, text)]


def test_a_message_of_eight_megabytes_is_stored_when_it_may_be(
    decode: Decode, reading: Reading
) -> None:
    """The limit is on the payload's bytes and holds exactly."""
    empty = len(reading(unit=""))
    payload = reading(unit="x" * ((8 << 20) - empty))

    result = decode([reading(), payload, reading()])

    assert result.refused == []
    assert len(result.batch.column("unit")[1].as_py()) == (8 << 20) - empty


def test_an_array_of_as_many_rows_as_allowed_is_stored(decode: Decode) -> None:
    """Elements are numbered from 0 in their message."""
    result = decode([b"[" + b",".join([with_value("1")] * 10_000) + b"]", with_value("2")])

    assert result.refused == []
    assert result.batch.column("_idx").to_pylist() == [*range(10_000), 0]
    assert result.batch.column("_seq").to_pylist() == [101] * 10_000 + [102]


def test_the_bounds_of_event_time_are_inclusive(decode: Decode, reading: Reading) -> None:
    """Exactly max_age and max_ahead from JetStream's microseconds is still accepted."""
    edges = ["2025-12-03T04:00:00.123456Z", "2026-01-02T05:00:00.123456Z"]
    beyond = ["2025-12-03T04:00:00.123455Z", "2026-01-02T05:00:00.123457Z"]

    result = decode([reading(ts=ts) for ts in [*edges, *beyond]])

    assert result.batch.column("_seq").to_pylist() == [101, 102]
    assert [one.reason for one in result.refused] == [Reason.TOO_OLD, Reason.TOO_FAR_AHEAD]


def test_unknown_fields_are_refused_where_the_contract_says_so(
    decode: Decode, reading: Reading
) -> None:
    """The first unknown field in the order of the payload is named."""
    contract = replace(load_contract("readings"), unknown_fields=UnknownFields.REFUSE)

    result = decode([reading(), reading(zz=1, aa=2)], contract)

    assert [(one.sequence, one.reason) for one in result.refused] == [(102, Reason.UNKNOWN_FIELD)]
    assert result.refused[0].detail == "element 0, 'zz': found a field of no column"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (ColumnType.INT32, "2147483647", None),
        (ColumnType.INT32, "2147483648", Reason.OUT_OF_RANGE),
        (ColumnType.INT32, "-2147483649", Reason.OUT_OF_RANGE),
        (ColumnType.INT64, "9223372036854775807", None),
        (ColumnType.INT64, "9223372036854775808", Reason.OUT_OF_RANGE),
        (ColumnType.INT64, "1" * 5000, Reason.OUT_OF_RANGE),
        (ColumnType.INT32, "1.0", Reason.WRONG_TYPE),
        (ColumnType.INT64, "1e2", Reason.WRONG_TYPE),
        (ColumnType.INT64, "true", Reason.WRONG_TYPE),
        (ColumnType.INT64, '"1"', Reason.WRONG_TYPE),
        (ColumnType.FLOAT32, "3.4e38", None),
        (ColumnType.FLOAT32, "3.5e38", Reason.OUT_OF_RANGE),
        (ColumnType.FLOAT32, "null", None),
        (ColumnType.BOOL, "false", None),
        (ColumnType.BOOL, "0", Reason.WRONG_TYPE),
        (ColumnType.DATE, '"2026-02-28"', None),
        (ColumnType.DATE, '"2026-02-29"', Reason.BAD_TIMESTAMP),
        (ColumnType.DATE, '"1899-12-31"', Reason.OUT_OF_RANGE),
        (ColumnType.DATE, "20260228", Reason.WRONG_TYPE),
        (ColumnType.JSON, '{"a":[1.0, 1e999]}', None),
        (ColumnType.JSON, "{]", Reason.INVALID_JSON),
        (ColumnType.STRING, "{}", Reason.WRONG_TYPE),
    ],
)
def test_each_type_has_its_bounds(
    decode: Decode, kind: ColumnType, value: str, reason: Reason | None
) -> None:
    """A column takes what its type holds; the next value is refused with the column's name."""
    readings = load_contract("readings")
    column = Column(name="more", type=kind, path=("more",))
    contract = replace(readings, columns=(*readings.columns, column))

    result = decode([with_value(f'1,"more":{value}')], contract)

    assert [one.reason for one in result.refused] == ([reason] if reason else [])
    if reason and reason is not Reason.INVALID_JSON:
        assert "element 0, more: " in result.refused[0].detail


@pytest.mark.parametrize(
    ("form", "number", "micros"),
    [
        (TimeFormat.EPOCH_S, "1767323045", 1_767_323_045_000_000),
        (TimeFormat.EPOCH_S, "1767323045.25", 1_767_323_045_250_000),
        (TimeFormat.EPOCH_MS, "1767323045123", 1_767_323_045_123_000),
        (TimeFormat.EPOCH_MS, "1767323045123.5", 1_767_323_045_123_500),
        (TimeFormat.EPOCH_US, "1767323045123456", 1_767_323_045_123_456),
        (TimeFormat.EPOCH_NS, "1767323045123456789", 1_767_323_045_123_456),
    ],
)
def test_epoch_numbers_are_read_in_the_unit_of_the_contract(
    decode: Decode, form: TimeFormat, number: str, micros: int
) -> None:
    """The unit is never guessed from the size; whole numbers are cut to microseconds."""
    result = decode([epoch_reading(number)] * 3, epoch_contract(form))

    assert result.refused == []
    assert result.batch.column("ts").cast("int64").to_pylist() == [micros] * 3


@pytest.mark.parametrize(
    ("form", "number", "reason"),
    [
        (TimeFormat.EPOCH_S, "1767323045123", Reason.OUT_OF_RANGE),
        (TimeFormat.EPOCH_S, "1e300", Reason.OUT_OF_RANGE),
        (TimeFormat.EPOCH_S, "9223372036854775807", Reason.OUT_OF_RANGE),
        (TimeFormat.EPOCH_S, "9223372036854775808", Reason.OUT_OF_RANGE),
        (TimeFormat.EPOCH_MS, "-9223372036854775808", Reason.OUT_OF_RANGE),
        (TimeFormat.EPOCH_MS, "1767323045", Reason.TOO_OLD),
        (TimeFormat.EPOCH_US, "1767323045123456.5", Reason.WRONG_TYPE),
        (TimeFormat.EPOCH_US, "9223372036854775807", Reason.OUT_OF_RANGE),
        (TimeFormat.EPOCH_NS, '"1767323045123456789"', Reason.WRONG_TYPE),
        (TimeFormat.EPOCH_S, '"2026-01-02T03:04:05Z"', Reason.WRONG_TYPE),
        (TimeFormat.EPOCH_S, "true", Reason.WRONG_TYPE),
    ],
)
def test_epoch_numbers_of_another_unit_or_size_are_refused(
    decode: Decode, form: TimeFormat, number: str, reason: Reason
) -> None:
    """Milliseconds where seconds belong are far out of range, not another year."""
    zeros = {"s": 0, "ms": 3, "us": 6, "ns": 9}[form.removeprefix("epoch_")]
    good = epoch_reading("1767323045" + "0" * zeros)

    result = decode([good, epoch_reading(number), good], epoch_contract(form))

    assert [(one.sequence, one.reason) for one in result.refused] == [(102, reason)]


def epoch_contract(form: TimeFormat) -> Contract:
    """The readings contract with epoch timestamps."""
    readings = load_contract("readings")
    columns = tuple(
        replace(column, format=form) if column.name == "ts" else column
        for column in readings.columns
    )
    return replace(readings, columns=columns)


def epoch_reading(number: str) -> bytes:
    """A reading whose timestamp is this JSON text."""
    return with_value("1").replace(b'"2026-01-02T03:04:05Z"', number.encode())


def test_the_first_problem_is_named_whatever_kind_it_is(decode: Decode, reading: Reading) -> None:
    """Of several bad elements the first one counts, then the order of the columns."""
    rows = [
        json.loads(reading()),
        json.loads(reading(ts="2020-01-01T00:00:00Z")),
        json.loads(reading(ts="yesterday")),
    ]

    result = decode([json.dumps(rows).encode()])

    assert result.refused[0].detail.startswith("element 1, ts: found an event")
