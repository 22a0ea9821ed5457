"""Payloads of one shape cut as a whole give what decoding each by itself gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest import decode as decode_module
from ingest.contract import Contract, load_contract
from ingest.decode import Decoded, Decoder
from ingest.json_alike import LEAST, AlikeReader
from ingest.json_payload import JsonReader
from ingest.messages import Messages
from ingest.payloads import Payloads

Build = Callable[..., Messages]

READINGS = load_contract("readings")
ROW = b'{"device_id":"d1","metric":"m","ts":"2026-01-02T03:04:05Z","value":1}'
COLUMNS = """
name = "kinds"
stream = "KINDS"
subjects = ["kinds"]
key = ["at"]
time_column = "at"
max_age = "400y"
max_ahead = "400y"
unknown_fields = "refuse"
"""
KINDS = {
    "at": ("timestamp", 'required = true\nformat = "epoch_s"'),
    "seen": ("timestamp", 'format = "epoch_ns"'),
    "day": ("date", ""),
    "flag": ("bool", ""),
    "small": ("int32", ""),
    "whole": ("int64", ""),
    "narrow": ("float32", ""),
    "wide": ("float64", "path = 'deep.wide'"),
    "text": ("string", "path = 'deep.er.text'"),
    "raw": ("json", ""),
    "labels": ("map<string,string>", ""),
}
NUMBERS = [
    *("0", "-0", "0.0", "-0.0", "00", "01", "-01", "1.", ".5", "-.5", "+1", "1e5", "1E-5", "1e+5"),
    *("1e999", "-1e999", "1e-999", "1e", "e1", "-", "", "NaN", "Infinity", "0x10", "1_000", "1 2"),
    *("2147483647", "2147483648", "-2147483648", "999999999", "1234567890", "5.0", "5e0", "1.5"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "123456789012345678"),
    *("18446744073709551616", "0." + "1" * 40, "1" * 400, "0.1e10", "3.4e38", "3.5e38", "1e-46"),
    *(
        "true",
        "false",
        "null",
        "tru",
        "True",
        '"1"',
        '""',
        "{}",
        "[]",
        "[1]",
        "0.30000000000000004",
    ),
    *(
        "0.30000000000000004",
        "9007199254740993",
        "179769313486231570e291",
        "17976931348623159e292",
        "5e-324",
        "2e-324",
    ),
    *("1 ", " 1", "1\t", "\u0661", "1,\u2028", '1,"value":2', '1}\n{"value":2', "1}{"),
]


class Never(AlikeReader):
    """Finds no shape in anything."""

    def read(self, payloads: Payloads) -> tuple[list[Any], list[int]]:
        """Everything is left."""
        return [], list(range(len(payloads)))


class OneByOne(JsonReader):
    """Without the other shortcuts."""

    def together(self, payloads: Sequence[bytes]) -> None:
        """Never sound."""

    def quickly(self, payload: bytes) -> None:
        """Never ordinary."""


def plainly(messages: Messages, contract: Contract) -> Decoded:
    """What the plain decoder gives."""
    decoder = Decoder(contract, contract.stream)
    decoder._alike = Never(contract)
    decoder._json = OneByOne(contract)
    return decoder.decode(messages, "e1")


def require_same(messages: Messages, contract: Contract = READINGS) -> Decoded:
    """Decodes both ways: the same Arrow bytes, the same refusals."""
    found = Decoder(contract, contract.stream).decode(messages, "e1")
    plain = plainly(messages, contract)
    assert found.refused == plain.refused
    assert ipc_bytes(found.batch) == ipc_bytes(plain.batch)
    return found


def ipc_bytes(batch: pa.RecordBatch) -> bytes:
    """The batch as Arrow writes it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def left_of(payloads: Sequence[bytes], contract: Contract = READINGS) -> list[int]:
    """Which payloads the shapes do not explain."""
    return AlikeReader(contract).read(Payloads.of(payloads))[1]


def text_row(value: str, *, key: str = "value") -> bytes:
    """A reading with that text where a value stands."""
    return ROW.replace(b'"value":1', f'"{key}":{value}'.encode())


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """A contract with every type; unknown fields are refused."""
    columns = [
        f'[[columns]]\nname = "{name}"\ntype = "{kind}"\n{more}'
        for name, (kind, more) in KINDS.items()
    ]
    path: Path = tmp_path_factory.mktemp("contract") / "kinds.toml"
    path.write_text("\n".join([COLUMNS, *columns]), encoding="utf-8")
    return load_contract(path)


def test_ordinary_readings_leave_nothing_over() -> None:
    """Objects and arrays, with and without white space, of several shapes in one run."""
    rows = [{**json.loads(ROW), "value": at / 7, "unit": "°C" * (at % 3)} for at in range(90)]
    some = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    compact = [json.dumps(row, separators=(",", ":")).encode() for row in rows if row["unit"] == ""]
    arrays = [b"[" + b", ".join(some[at : at + 3]) + b"]" for at in range(0, 90, 3)]

    assert left_of(some) == []
    assert left_of(compact) == []
    assert left_of(arrays) == []
    assert left_of([*some, *compact, *arrays]) == []


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_what_they_are_one_by_one(messages: Build, number: str) -> None:
    """One odd number among many good ones: each column takes or refuses it as before."""
    payloads = [text_row(str(at / 4)) for at in range(2 * LEAST)]
    payloads[LEAST] = text_row(number)
    require_same(messages(payloads))
    require_same(messages([text_row(number)] * LEAST))
    extra = [one[:-1] + b',"other":' + number.encode() + b"}" for one in payloads]
    require_same(messages(extra))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", ["at", "seen", "flag", "small", "whole", "narrow", "day", "raw"])
def test_every_type_takes_what_it_took(
    messages: Build, kinds: Contract, name: str, number: str
) -> None:
    """Numbers, booleans and what is neither, in a column of each type."""
    good = {"at": "1767323045", "flag": "true", "day": '"2026-01-02"'}
    usual = good.get(name, "7")
    first = b"" if name == "at" else b'"at":1767323045,'
    payloads = [b"{" + first + f'"{name}":{usual}}}'.encode()] * (2 * LEAST)
    payloads[3] = b"{" + first + f'"{name}":{number}}}'.encode()

    require_same(messages(payloads), kinds)
    require_same(messages([payloads[3]] * LEAST), kinds)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"device_id":"d","metric":"m","ts":"x', b'y","value":1}'),
        (ROW + b"," + ROW, b""),
        (ROW[:-1], b"}"),
        (ROW + b"\n", ROW[1:]),
        (b"\n" + ROW, ROW),
        (ROW[:-1] + b',"value":2}', ROW),
        (ROW.replace(b"d1", b'd\\"1'), ROW.replace(b"d1", b"d\t1")),
        (ROW.replace(b"d1", b"d\\u00b0"), ROW.replace(b"d1", b"\\/")),
        (ROW.replace(b"d1", b"\xff"), ROW.replace(b"d1", b"\xc3")),
        (ROW.replace(b'"metric"', b'"metrik"'), ROW.replace(b'"m"', b'"m":"m"')),
        (ROW.replace(b":1}", b"}"), ROW.replace(b'"m"', b"")),
        (b"1" + ROW, b"}" + ROW),
        (ROW + b";" + ROW, ROW + b"}" + ROW),
        (ROW + b"  ", ROW.replace(b"1}", b"1 }")),
        (ROW.replace(b'":"', b'";"'), ROW.replace(b'","', b'":"')),
        (ROW.replace(b"1}", b'"1"}'), ROW.replace(b'"m"', b"1")),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_payloads_that_complete_each_other_are_refused(
    messages: Build, one: bytes, other: bytes, *, array: bool
) -> None:
    """Broken payloads side by side, in objects and in arrays: the good keep their places."""
    wrap = (lambda inner: b"[" + inner + b"]") if array else (lambda inner: inner)
    rows = [text_row(str(at)) for at in range(LEAST)]
    around = [wrap(row + b"," + row) for row in rows] if array else rows
    for pair in ([one, other], [other, one], [one], [other], [one, one, other, other]):
        between = [wrap(part) for part in pair]
        require_same(messages([*around, *between, *around]))
        require_same(messages([*around, *between]))
        require_same(messages([*between, *around]))
    if array:
        both = wrap(one + b"," + rows[0] + b"," + other)
        require_same(messages([*rows, *[both] * LEAST]))
        require_same(messages([*[both] * LEAST]))
        # Each half opens or closes the array that its neighbour lacks, or as something else.
        require_same(messages([*around, b"[" + one, other + b"]", *around]))
        for begin, end in ((b"[", b"}"), (b"{", b"]"), (b"{", b"}"), (b"[", b"["), (b"[", b",")):
            odd = begin + rows[0] + b"," + rows[1] + end
            require_same(messages([*around, odd, odd, *around]))


TEXT = st.text(max_size=6) | st.sampled_from(['"', "\\", "},{", "}\n{", '","', "°C", "\u2028", ""])
VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70) | st.none()
ORDINARY = st.builds(
    lambda device, unit, value, ascii_only: json.dumps(
        {**json.loads(ROW), "device_id": device, "unit": unit, "value": value},
        separators=(",", ":"),
        ensure_ascii=ascii_only,
    ).encode("utf-8", "replace"),
    TEXT,
    TEXT | st.none(),
    VALUES,
    st.booleans(),
)
OTHER = st.sampled_from(
    [
        *(ROW, b"", b"{}", b"[", b"]", b"[]", b"{", b"\xff\xff\xff\xff", ROW + ROW, b" " + ROW),
        *(b"[" + ROW + b"]", b"[" + ROW + b"," + ROW + b"]", b"[" + ROW + b", " + ROW + b"]"),
        *(ROW[:-1] + b',"attributes":{"a":"1","b":"2"}}', ROW[:-1] + b',"attributes":{}}'),
        *(ROW[:-1] + b',"attributes":{"b":"3","a":"4"}}', ROW[:-1] + b',"attributes":{"a":1}}'),
        ROW[:-1] + b',"site":null}',
    ]
)


@given(st.lists(st.one_of(ORDINARY, ORDINARY, ORDINARY, OTHER), min_size=LEAST, max_size=60))
@example([ROW] * LEAST)
@example([ROW[:-1] + b',"unit":""}', *[ROW[:-1] + b',"unit":"\\"}'] * LEAST, ROW + ROW])
@example([ROW[:-1] + b',"attributes":{"b":"3","a":"4"}}'] * LEAST)
@example([b"[" + ROW + b", " + ROW + b"]"] * LEAST)
def test_both_ways_give_the_same_bytes(messages: Build, payloads: list[bytes]) -> None:
    """Any mixture of shapes and broken payloads gives the same Arrow bytes and refusals."""
    require_same(messages(payloads))
    require_same(messages([b"[" + one + b"]" for one in payloads]))


@given(st.data())
def test_bytes_changed_at_random_are_noticed(messages: Build, data: st.DataObject) -> None:
    """A few bytes replaced, taken out or moved over the border of two payloads."""
    array = data.draw(st.booleans())
    wrap = (lambda row: b"[" + row + b"," + row + b"]") if array else (lambda row: row)
    payloads = [wrap(text_row(str(at))) for at in range(LEAST + 4)]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payloads) - 2))
        place = data.draw(st.integers(0, len(payloads[at])))
        end = place + data.draw(st.integers(0, 3))
        cut, rest = payloads[at][:place], payloads[at][end:]
        put = data.draw(
            st.sampled_from([b"", b'"', b",", b"}", b"{", b"]", b"\n", b"\\", b"1", b" "])
        )
        if data.draw(st.booleans()):
            payloads[at], payloads[at + 1] = cut, rest + put + payloads[at + 1]
        else:
            payloads[at] = cut + put + rest
    require_same(messages(payloads))


def test_a_missing_value_between_blanks_is_noticed(messages: Build) -> None:
    """The blanks around a value must not be taken for those of both its neighbours."""
    rows = [text_row(f" {at} ") for at in range(LEAST)]
    assert left_of(rows) == []
    found = require_same(messages([*rows, text_row(" "), *rows]))
    assert len(found.refused) == 1


def test_more_rows_in_an_array_than_allowed_are_refused(messages: Build) -> None:
    """The bound of the contract holds for arrays that are cut as a whole."""
    most = READINGS.max_rows_per_message
    fine = b"[" + b",".join([ROW] * 3) + b"]"
    many = b"[" + b",".join([ROW] * (most + 1)) + b"]"

    found = require_same(messages([fine, fine, many, fine] * 4))

    assert len(found.refused) == 4


def test_nested_kept_and_constant_fields_are_as_one_by_one(messages: Build) -> None:
    """The weather contract: nested columns, epochs, fields that are kept and so never cut."""
    weather = load_contract("weather")
    whole = {"time": 1_767_323_045_123, "air": {"temp": 3.4, "hum": 71.5}, "wind": {"dir": 220}}
    payloads = [
        json.dumps({**whole, "air": {"temp": at / 3, "hum": at}, "battery": {"charging": at > 9}})
        for at in range(2 * LEAST)
    ]
    encoded = [one.encode() for one in payloads]
    assert left_of(encoded, weather) == []
    strange = [json.dumps({**whole, "zz": at}).encode() for at in range(LEAST)]
    assert left_of(strange, weather) == list(range(LEAST))

    require_same(messages([*encoded, *strange, b'{"air":{}}'], subject="weather.np.ktm"), weather)


def test_how_many_are_looked_at_together_changes_nothing(
    messages: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run is cut for the CPU's cache is not seen in the batch."""
    payloads = [text_row(str(at)) for at in range(300)]
    payloads[70], payloads[210] = b"{", b"[" + ROW + b"]"
    whole = require_same(messages(payloads))
    monkeypatch.setattr(decode_module, "ALIKE_BYTES", 1)
    cut = require_same(messages(payloads))
    assert ipc_bytes(cut.batch) == ipc_bytes(whole.batch)
