"""The messages of the scaling benchmark: sizes as told, and all of them rows of their contract."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.scaling.plan import COUNT, LEAST, plan
from benchmarks.scaling.sources import sized, widened, wider_contract
from ingest.contract import load_contract
from ingest.decode import Decoded, Decoder
from ingest.messages import Messages
from ingest.ranges import SequenceRange
from simulator.readings import Message

PACKAGED = Path(__file__).parents[3] / "ingest/contracts/readings.toml"


def decoded(messages: list[Message], contract: str | Path) -> Decoded:
    """What the messages become when they are stored now."""
    count = len(messages)
    run = Messages(
        np.arange(1, count + 1),
        np.full(count, time.time_ns()),
        [one.subject for one in messages],
        [one.payload for one in messages],
        SequenceRange(1, count),
    )
    return Decoder(load_contract(contract), "READINGS").decode(run, epoch="e")


@pytest.mark.parametrize("size", [1_000, 10_000])
def test_a_message_has_its_size_to_the_byte(size: int) -> None:
    """And becomes a row."""
    messages = list(sized(300, size))
    assert {len(one.payload) for one in messages} == {size}
    assert decoded(messages, "readings").batch.num_rows == 300


def test_the_smallest_message_is_about_a_hundred_bytes() -> None:
    """Nothing is padded that is that long already."""
    messages = list(sized(300, 100))
    assert all(90 <= len(one.payload) <= 100 for one in messages)
    assert decoded(messages, "readings").batch.num_rows == 300


@pytest.mark.parametrize("columns", [1, 8])
def test_added_columns_are_in_the_contract_and_hold_values(columns: int, tmp_path: Path) -> None:
    """A column without values would cost nothing and prove nothing."""
    contract = wider_contract(PACKAGED, columns, tmp_path / "wider.toml")
    rows = decoded(list(widened(200, columns)), contract).batch
    assert rows.num_rows == 200
    for number in range(columns):
        assert rows.column(f"added_{number}").null_count == 0


@pytest.mark.parametrize("quick", [True, False])
def test_a_stream_makes_as_many_messages_as_it_says(quick: bool) -> None:
    """Else a drain would wait for ever, or end before the last message."""
    for stream in plan(quick=quick):
        if stream.messages <= 2_000:
            assert sum(1 for _ in stream.source()) == stream.messages
        assert stream.messages * stream.rows_per_message >= LEAST


def test_the_plan_has_a_start_to_take_off_and_three_decades() -> None:
    """The fit needs both."""
    counts = [way.at for stream in plan(quick=False) for way in stream.ways if way.group == COUNT]
    assert counts == [LEAST, 100_000, 1_000_000, 10_000_000]
