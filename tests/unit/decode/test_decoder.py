"""The decoder as a whole: complete, repeatable, and nothing but its input."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import METADATA_FIELDS, load_contract, packaged_contracts
from ingest.decode import Decoded, Decoder
from ingest.messages import Messages
from ingest.ranges import SequenceRange
from ingest.refusal import Reason

Decode = Callable[..., Decoded]
Reading = Callable[..., bytes]
Build = Callable[..., Messages]

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "device_id",
                    "site",
                    "metric",
                    "ts",
                    "value",
                    "unit",
                    "attributes",
                    "air",
                    "temp",
                    "x",
                ]
            ),
            inner,
            max_size=8,
        )
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())
ANY_BYTES = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda data: b"\xff\xff\xff\xff" + data),
    st.sampled_from([b"{", b"["]).flatmap(
        lambda first: st.binary(max_size=60).map(lambda data: first + data)
    ),
    ANY_JSON,
)


@pytest.mark.parametrize("name", packaged_contracts())
@given(payloads=st.lists(ANY_BYTES, max_size=12))
def test_every_sequence_is_stored_or_refused(
    decode: Decode, name: str, payloads: list[bytes]
) -> None:
    """Whatever the bytes, nothing is raised, lost or both stored and refused."""
    result = decode(payloads, name, "weather.np.ktm")

    stored = set(result.batch.column("_seq").to_pylist())
    refused = [one.sequence for one in result.refused]
    assert stored.isdisjoint(refused)
    assert sorted([*stored, *refused]) == list(range(101, 101 + len(payloads)))
    assert refused == sorted(refused)
    assert all(one.payload == payloads[one.sequence - 101] for one in result.refused)
    assert all(one.detail and isinstance(one.reason, Reason) for one in result.refused)
    result.batch.validate(full=True)


@given(st.lists(ANY_BYTES, max_size=6), st.integers(0, 6))
def test_bad_payloads_leave_good_ones_as_they_are(
    decode: Decode, reading: Reading, bad: list[bytes], at: int
) -> None:
    """A good reading among any bytes is the row that it is alone."""
    payloads = [*bad[:at], reading(value=4.25), *bad[at:]]
    position = min(at, len(bad))

    result = decode(payloads)

    rows = result.batch.filter(pa.compute.equal(result.batch.column("_seq"), 101 + position))
    alone = decode([reading(value=4.25)]).batch
    columns = [field.name for field in alone.schema if field.name not in ("_seq", "_stored_at")]
    assert rows.select(columns).equals(alone.select(columns))


@given(st.lists(ANY_BYTES, max_size=8))
def test_decoding_twice_gives_identical_bytes(messages: Build, payloads: list[bytes]) -> None:
    """A fresh decoder on the same messages writes the same Arrow bytes and refusals."""
    run = messages(payloads)
    outcomes = []
    for _ in range(2):
        result = Decoder(load_contract("readings"), "READINGS").decode(run, "e1")
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, result.batch.schema) as writer:
            writer.write_batch(result.batch)
        outcomes.append((sink.getvalue().to_pybytes(), result.refused))

    assert outcomes[0] == outcomes[1]


@given(st.lists(ANY_BYTES | st.none(), min_size=1, max_size=10), st.integers(0, 10))
def test_how_messages_are_cut_into_runs_changes_nothing(
    messages: Build, reading: Reading, payloads: list[bytes | None], at: int
) -> None:
    """Two runs one after the other give the rows and refusals of the whole run."""
    run = messages([reading() if payload is None else payload for payload in payloads])
    decoder = Decoder(load_contract("readings"), "READINGS")
    cut = min(at, len(run))
    covered = SequenceRange(1, 1)

    whole = decoder.decode(run, "e1")
    parts = [
        decoder.decode(run.slice(0, cut, covered), "e1"),
        decoder.decode(run.slice(cut, len(run), covered), "e1"),
    ]

    rows = pa.Table.from_batches([part.batch for part in parts])
    assert rows.to_pylist() == whole.batch.to_pylist()
    assert [*parts[0].refused, *parts[1].refused] == whole.refused


def test_metadata_comes_from_the_stream_alone(decode: Decode, reading: Reading) -> None:
    """Sequence, lane, epoch and JetStream's time, cut to microseconds, are in every row."""
    decoder = Decoder(load_contract("readings"), "LANE-7")
    stored = np.array([1_767_326_400_000_000_999, 1_767_326_400_000_001_000])
    run = Messages(
        np.array([5, 9]), stored, ["readings.a"] * 2, [reading(), reading()], SequenceRange(5, 9)
    )

    batch = decoder.decode(run, "k3x").batch

    assert batch.schema == load_contract("readings").arrow_schema
    assert batch.column("_seq").to_pylist() == [5, 9]
    assert batch.column("_idx").to_pylist() == [0, 0]
    assert batch.column("_lane").to_pylist() == ["LANE-7"] * 2
    assert batch.column("_epoch").to_pylist() == ["k3x"] * 2
    micros = batch.column("_stored_at").cast("int64").to_pylist()
    assert micros == [1_767_326_400_000_000, 1_767_326_400_000_001]


@pytest.mark.parametrize("name", packaged_contracts())
def test_no_messages_are_an_empty_batch(decode: Decode, name: str) -> None:
    """An empty run has the full schema and no row."""
    result = decode([], name)

    assert result.batch.schema == load_contract(name).arrow_schema
    assert result.batch.schema.names[-5:] == [field.name for field in METADATA_FIELDS]
    assert (result.batch.num_rows, result.refused) == (0, [])


@pytest.mark.parametrize("name", packaged_contracts())
def test_nothing_but_refused_messages_is_an_empty_batch(decode: Decode, name: str) -> None:
    """A run of which nothing can be stored still has a batch of the right schema."""
    result = decode([b"", b"{", b"\xff\xff\xff\xff", b"[{}]"], name, "weather.a.b")

    assert result.batch.schema == load_contract(name).arrow_schema
    assert result.batch.num_rows == 0
    assert [one.sequence for one in result.refused] == [101, 102, 103, 104]


def test_a_poison_storm_is_refused_one_by_one(decode: Decode, reading: Reading) -> None:
    """Thousands of bad messages between good ones are each refused with their own reason."""
    kinds = [b"{", reading(value="x"), reading(ts="x"), reading(ts="2020-01-01T00:00:00Z"), b""]
    payloads = [reading(value=float(at)) if at % 2 else kinds[at // 2 % 5] for at in range(5_000)]

    result = decode(payloads)

    assert result.batch.column("value").to_pylist() == [float(at) for at in range(1, 5_000, 2)]
    assert Counter(one.reason for one in result.refused) == {
        Reason.INVALID_JSON: 500,
        Reason.WRONG_TYPE: 500,
        Reason.BAD_TIMESTAMP: 500,
        Reason.TOO_OLD: 500,
        Reason.EMPTY: 500,
    }


def test_threads_may_share_a_decoder(messages: Build, reading: Reading) -> None:
    """Runs decoded at the same time do not mix."""
    decoder = Decoder(load_contract("readings"), "READINGS")
    runs = [
        messages([reading(value=float(number))] * 500 + [b"bad"], first=number * 1000 + 1)
        for number in range(8)
    ]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda run: decoder.decode(run, "e1"), runs))

    for number, result in enumerate(results):
        assert set(result.batch.column("value").to_pylist()) == {float(number)}
        assert [one.sequence for one in result.refused] == [number * 1000 + 501]
