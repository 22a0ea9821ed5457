"""Cutting decoded messages into batches, and carrying them through a spool."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batches import DAY_NS, Batch, cut
from ingest.contract import load_contract
from ingest.decode import Decoder
from ingest.messages import Messages
from ingest.ranges import SequenceRange
from ingest.spool import SpoolFolder

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
CONTRACT = load_contract("readings")
DECODER = Decoder(CONTRACT, lane="LANE")


def messages(rows: list[int], holes: list[int], step_ns: int) -> Messages:
    """A message with that many rows each (0: refused), with holes before some of them."""
    sequences, payloads, sequence = [], [], 0
    for number, count in enumerate(rows):
        sequence += 1 + (holes[number % len(holes)] if holes else 0)
        sequences.append(sequence)
        reading = {"device_id": "d", "metric": "m", "ts": "2026-01-01T00:00:00Z", "value": number}
        payloads.append(json.dumps([reading] * count).encode() if count else b"broken")
    stored_at = START_NS + np.arange(len(rows), dtype=np.int64) * step_ns
    covered = SequenceRange(1, sequences[-1])
    subjects = ["readings.x"] * len(rows)
    return Messages(np.array(sequences, np.int64), stored_at, subjects, payloads, covered)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
    st.lists(st.integers(0, 2), max_size=3),
    st.sampled_from([1_000, DAY_NS // 5]),
    st.integers(1, 12),
)
def test_batches_cover_every_message_once_within_the_bounds(
    rows: list[int], holes: list[int], step_ns: int, max_rows: int
) -> None:
    """Ranges follow each other; a batch is one UTC day and never more rows than asked for."""
    run = messages(rows, holes, step_ns)
    decoded = DECODER.decode(run, epoch="e")
    batches = list(cut(run, decoded, epoch="e", version=1, max_rows=max_rows, max_bytes=1 << 30))

    assert batches[0].covered.first == 1
    assert batches[-1].covered.last == run.covered.last
    assert all(a.covered.then(b.covered.last) == b.covered for a, b in _pairs(batches))
    whole = pa.Table.from_batches([batch.rows for batch in batches])
    assert whole.equals(pa.Table.from_batches([decoded.batch]))
    assert sum(batch.messages for batch in batches) == len(run)
    assert sum(batch.holes for batch in batches) == run.holes
    assert sum(len(batch.refused) for batch in batches) == rows.count(0)
    for batch in batches:
        assert batch.rows.num_rows <= max_rows or batch.messages == 1
        stored = batch.rows.column("_stored_at").cast(pa.int64()).to_numpy() * 1000
        assert len(set(stored // DAY_NS)) <= 1


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=25), st.integers(1, 40))
def test_a_spool_gives_back_what_it_took(rows: list[int], run_rows: int) -> None:
    """Rows come back in order in runs of the asked size, with counts and marks of the range."""
    import tempfile

    run = messages(rows, [0, 1], 1_000)
    decoded = DECODER.decode(run, epoch="e")
    with tempfile.TemporaryDirectory() as folder:
        spool = SpoolFolder(Path(folder), "LANE", CONTRACT.time_column).new(decoded.batch.schema)
        for batch in cut(run, decoded, epoch="e", version=1, max_rows=7, max_bytes=1 << 30):
            spool.append(batch)
        spooled = spool.finish()
        runs = list(spooled.runs(run_rows))
        assert all(one.num_rows <= run_rows for one in runs)
        assert spooled.rows == sum(one.num_rows for one in runs) == decoded.batch.num_rows
        if runs:
            assert pa.concat_tables(runs).equals(pa.Table.from_batches([decoded.batch]))
    assert spooled.covered == run.covered
    assert spooled.holes == run.holes
    assert sum(spooled.refused.values()) == rows.count(0)


def _pairs(batches: list[Batch]) -> list[tuple[Batch, Batch]]:
    return list(itertools.pairwise(batches))
