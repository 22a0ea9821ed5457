"""Kills at random moments, storms of bad messages, large ones: exactly once all the same.

The seed of the moments is INGEST_CHAOS_SEED, or a fixed one; a failure names it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from ingest.errors import EXIT_OK
from tests.support.chaos import expect_verified, rows
from tests.support.history import hot_values
from tests.support.lane import TestLane, reading
from tests.support.outcome import dead_letters
from tests.support.stream_of_readings import StreamOfReadings

SEED = int(os.environ.get("INGEST_CHAOS_SEED", "20260101"))
KILLS = 8
PAUSES_S = (0.2, 1.8)


@pytest.mark.short
def test_either_writer_killed_at_random_moments(lane: TestLane) -> None:
    """The supervisor starts them again; every acknowledged reading is stored once, and proven."""
    chance = random.Random(SEED)
    lane.init()
    supervisor = lane.start("all", IOT_LAKE__COMMIT_MAX_AGE_S="0.3")
    killed = 0
    with StreamOfReadings(lane, rate=600) as publisher:
        publisher.wait(100)
        while killed < KILLS:
            time.sleep(chance.uniform(*PAUSES_S))  # the moment is what this test is about
            children = sorted(_children(supervisor.process.pid), key=lambda child: child.pid)
            if children:
                chance.choice(children).send_signal(signal.SIGKILL)
                killed += 1
    last = lane.state().last_seq
    lane.wait_hot(last, 60)
    lane.wait_lake(last, 60)
    supervisor.process.send_signal(signal.SIGTERM)
    assert supervisor.wait() == EXIT_OK, f"seed {SEED}"
    assert lane.hot_rows() == lane.lake_rows() == rows(1, last), f"seed {SEED}"
    publisher.expect_all_in(hot_values(lane))
    expect_verified(lane)


@pytest.mark.parametrize("bad_of_ten", [10, pytest.param(3, marks=pytest.mark.short)])
def test_a_storm_of_bad_messages(lane: TestLane, bad_of_ten: int) -> None:
    """All or a third of 20,000 messages malformed: each refused once, the others stored once."""
    count = 20_000
    lane.init()
    lane.publish(_mixed(count, bad_of_ten))
    writers = [lane.start("hot"), lane.start("lake")]
    lane.wait_hot(count)
    lane.wait_lake(count)
    for writer in writers:
        assert writer.drain() == 0
    refused = [seq for seq in range(1, count + 1) if (seq - 1) % 10 < bad_of_ten]
    stored = sorted(set(range(1, count + 1)) - set(refused))
    assert lane.hot_rows() == lane.lake_rows() == [(seq, 0) for seq in stored]
    assert dead_letters(lane) == refused


def test_payloads_of_megabytes_among_small_ones(lane: TestLane) -> None:
    """Good and bad messages of up to 8 MB pass both paths, the queue and their buffers."""
    lane.init()
    payloads: list[bytes] = []
    for number, megabytes in enumerate((0, 1, 0, 4, 8, 0, 2, 0)):
        payloads.append(reading(number, attributes={"note": "x" * (megabytes * 1_000_000)}))
        payloads.append(b"\xff" * (megabytes * 1_000_000 + 1))
    lane.publish(payloads)
    writers = [
        lane.start("hot", IOT_WRITER__BUFFER_MAX_BYTES=str(8 << 20)),
        lane.start("lake", IOT_WRITER__BUFFER_MAX_BYTES=str(8 << 20)),
    ]
    lane.wait_hot(len(payloads))
    lane.wait_lake(len(payloads))
    for writer in writers:
        assert writer.drain() == 0
    good = [(seq, 0) for seq in range(1, len(payloads) + 1, 2)]
    assert lane.hot_rows() == lane.lake_rows() == good
    assert dead_letters(lane) == list(range(2, len(payloads) + 1, 2))


def _children(pid: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(pid).children()
        if child.status() != psutil.STATUS_ZOMBIE and "run" in child.cmdline()
    ]


def _mixed(count: int, bad_of_ten: int) -> Iterator[bytes]:
    for number in range(count):
        yield b'{"broken": ' if number % 10 < bad_of_ten else reading(number)
