"""Decoding a run of payloads in one call gives what decoding each by itself gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest import decode as decode_module
from ingest.contract import Contract, load_contract
from ingest.decode import Decoded, Decoder
from ingest.json_payload import JsonReader
from ingest.messages import Messages

Reading = Callable[..., bytes]
Build = Callable[..., Messages]

READINGS = load_contract("readings")
ROW = b'{"device_id":"d1","metric":"m","ts":"2026-01-02T03:04:05Z","value":1}'

# Two payloads that become two whole objects when a comma joins them, each on a wrong row.
TRAP = (ROW[:-1] + b',"x":[{}', b"{}]}," + ROW + b"," + ROW)
COMMA_TRAP = (ROW[:-1] + b',"x":[{}', b'{}],"value":9},' + ROW)

FRAGMENTS = st.sampled_from(
    [
        ROW,
        ROW[:-1] + b',"x":[{}',
        b'{}],"value":9}',
        ROW[:-1] + b',"x":{}',
        ROW + ROW,
        ROW + b" " + ROW,
        ROW + b"\n" + ROW,
        ROW[:-1] + b',"unit":"}',
        b'{","value":2}',
        b'{"x":"}\n{"}',
        b"{}",
        b"}",
        b"{",
        b"",
        b"\n",
        b"[" + ROW + b"]",
        b"[" + ROW + b"," + ROW + b"]",
        ROW + b" ",
        b" " + ROW,
        ROW.replace(b"1}", b"2}"),
        ROW[:-1] + b',"unit":"\xc3\xa9"}',
        ROW[:-1] + b',"y":"\xff"}',
    ]
)


class OneByOne(JsonReader):
    """The same reader without its shortcuts."""

    def together(self, payloads: Sequence[bytes]) -> None:
        """Never sound."""

    def quickly(self, payload: bytes) -> None:
        """Never ordinary."""


def one_by_one(messages: Messages, contract: Contract = READINGS) -> Decoded:
    """What the plain way gives: each payload by itself, nothing joined."""
    decoder = Decoder(contract, contract.stream)
    decoder._json = OneByOne(contract)
    return decoder.decode(messages, "e1")


def ipc_bytes(batch: pa.RecordBatch) -> bytes:
    """The batch as Arrow writes it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def test_joining_with_commas_would_move_rows_unseen() -> None:
    """The trap itself: two broken payloads and a comma make two good rows, one of them wrong."""
    rows = msgspec.json.decode(b"[" + b",".join(COMMA_TRAP) + b"]", type=list[dict[str, object]])

    assert len(rows) == len(COMMA_TRAP)


@pytest.mark.parametrize("trap", [TRAP, COMMA_TRAP, COMMA_TRAP[::-1], (ROW + ROW, b"{}", ROW)])
def test_payloads_that_complete_each_other_are_refused(
    messages: Build, trap: tuple[bytes, ...]
) -> None:
    """No payload borrows from its neighbour: the broken are refused, the good keep their row."""
    payloads = [ROW, *trap, ROW.replace(b"1}", b"7}")]

    result = Decoder(READINGS, "READINGS").decode(messages(payloads), "e1")

    whole = [at for at, payload in enumerate(payloads) if payload in (ROW, payloads[-1])]
    assert result.batch.column("_seq").to_pylist() == [101 + at for at in whole]
    assert result.batch.column("value").to_pylist()[-1] == 7.0
    assert len(result.refused) == len(payloads) - len(whole)


def test_a_batch_of_plain_objects_is_decoded_in_one_call(reading: Reading) -> None:
    """The shortcut is taken for what it is meant for, and a single odd payload forbids it."""
    reader = JsonReader(READINGS)
    plain = [reading(value=float(at), attributes={"a": str(at)}) for at in range(100)]

    together = reader.together(plain)

    assert together is not None
    assert len(together) == len(plain)
    for odd in (b"", b"[]", ROW + b"\n", b" " + ROW, ROW + ROW, b"\xff", ROW[:-1]):
        assert reader.together([*plain, odd]) is None
        assert reader.together([odd, *plain]) is None


@given(st.lists(FRAGMENTS, max_size=12))
@example([ROW + ROW, b'{"x":"}', b'{"}'])
@example([ROW, ROW + ROW, b""])
@example([b"{}{}{}", b"{", b"}"])
def test_both_ways_give_the_same_bytes(messages: Build, payloads: list[bytes]) -> None:
    """Fragments made to complete each other give the same Arrow bytes and refusals."""
    run = messages(payloads)

    fast, plain = Decoder(READINGS, "READINGS").decode(run, "e1"), one_by_one(run)

    assert ipc_bytes(fast.batch) == ipc_bytes(plain.batch)
    assert fast.refused == plain.refused


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "device_id": st.text(max_size=8),
                "metric": st.sampled_from(["t", "h"]),
                "ts": st.just("2026-01-02T03:04:05Z"),
                "value": st.floats(allow_nan=False, allow_infinity=False),
            },
            optional={
                "site": st.none() | st.text(max_size=4),
                "unit": st.none() | st.text(max_size=4),
                "attributes": st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
                "other": st.recursive(
                    st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
                    max_leaves=5,
                ),
            },
        ),
        min_size=1,
        max_size=20,
    )
)
def test_good_readings_give_the_same_bytes_and_values(
    messages: Build, rows: list[dict[str, object]]
) -> None:
    """Any reading comes back as it was sent, both ways, absent text as the default."""
    run = messages([msgspec.json.encode(row) for row in rows])

    fast, plain = Decoder(READINGS, "READINGS").decode(run, "e1"), one_by_one(run)

    assert fast.refused == []
    assert ipc_bytes(fast.batch) == ipc_bytes(plain.batch)
    for sent, stored in zip(rows, fast.batch.to_pylist(), strict=True):
        assert stored["device_id"] == sent["device_id"]
        assert stored["value"] == sent["value"]
        assert stored["site"] == (sent.get("site") or "")
        assert dict(stored["attributes"]) == (sent.get("attributes") or {})
        assert stored["attributes"] == sorted(stored["attributes"])


def test_the_size_of_a_chunk_changes_nothing(
    messages: Build, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run is cut for the CPU's cache is not seen in the batch."""
    payloads = [reading(value=float(at)) for at in range(50)]
    payloads[7], payloads[31] = b"{", b"[" + payloads[31] + b"]"
    run = messages(payloads)
    whole = Decoder(READINGS, "READINGS").decode(run, "e1")

    for size in (1, 3, 49, 50):
        monkeypatch.setattr(decode_module, "CHUNK", size)
        cut = Decoder(READINGS, "READINGS").decode(run, "e1")
        assert cut.batch.equals(whole.batch)
        assert cut.refused == whole.refused
