"""SIGTERM and Ctrl-C while a server is away: the process ends, and the next one settles."""

from __future__ import annotations

import signal

import pytest

from devstack.supervisor import Devstack
from ingest.errors import EXIT_FAILED
from ingest.service import EXIT_INTERRUPTED
from tests.support.chaos import rows, wait_said
from tests.support.lane import TestLane
from tests.support.waiting import until

SHORT = {"IOT_WRITER__DRAIN_GRACE_S": "0.5", "IOT_NATS__REQUEST_TIMEOUT_S": "1"}
SINK = {"hot": "clickhouse", "lake": "seaweedfs"}
WAITING = {"hot": "insert_waiting", "lake": "commit_waiting"}


@pytest.mark.parametrize("path", [pytest.param("hot", marks=pytest.mark.short), "lake"])
def test_sigterm_while_the_sink_is_away(
    rough_lane: TestLane, rough_stack: Devstack, path: str
) -> None:
    """Exit 1 once the grace is over; what was under way is settled at the next start."""
    lane = rough_lane
    lane.init()
    lane.publish(lane.readings(500))
    writer = lane.start(path, **SHORT)
    _wait(lane, path, 500)
    rough_stack.kill(SINK[path])
    lane.publish(lane.readings(500, start=500))
    until(lambda: writer.said(WAITING[path]) or writer.said("waiting_for_sink"), "the sink missed")
    writer.process.send_signal(signal.SIGTERM)
    assert writer.wait(15) == EXIT_FAILED
    assert "settled at the next start" in writer.said("stopped")[0]["problem"]

    rough_stack.start_service(SINK[path])
    following = lane.start(path)
    _wait(lane, path, 1_000)
    assert following.drain() == 0
    assert (lane.hot_rows() if path == "hot" else lane.lake_rows()) == rows(1, 1_000)


@pytest.mark.parametrize("path", ["hot", "lake"])
def test_sigterm_while_nats_is_away(rough_lane: TestLane, rough_stack: Devstack, path: str) -> None:
    """Exit 1 once the grace is over, however long NATS stays away."""
    lane = rough_lane
    lane.init()
    lane.publish(lane.readings(500))
    writer = lane.start(path, **SHORT)
    _wait(lane, path, 500)
    rough_stack.kill("nats")
    wait_said(writer, "reader_interrupted")
    writer.process.send_signal(signal.SIGTERM)
    assert writer.wait(15) == EXIT_FAILED

    rough_stack.start_service("nats")
    lane.publish(lane.readings(500, start=500))
    following = lane.start(path)
    _wait(lane, path, 1_000)
    assert following.drain() == 0
    assert (lane.hot_rows() if path == "hot" else lane.lake_rows()) == rows(1, 1_000)


@pytest.mark.short
def test_a_second_interrupt_ends_at_once(rough_lane: TestLane, rough_stack: Devstack) -> None:
    """130 without waiting for anything, and nothing is lost or doubled by it."""
    lane = rough_lane
    lane.init()
    writer = lane.start("hot")
    lane.publish(lane.readings(100))
    lane.wait_hot(100)
    rough_stack.signal("clickhouse", signal.SIGSTOP)
    lane.publish(lane.readings(400, start=100))
    until(lambda: (entry := lane.hot_entry()) and entry.pending, "an insert under way")
    writer.process.send_signal(signal.SIGINT)
    wait_said(writer, "draining")
    writer.process.send_signal(signal.SIGINT)
    assert writer.wait(5) == EXIT_INTERRUPTED

    rough_stack.signal("clickhouse", signal.SIGCONT)
    following = lane.start("hot")
    lane.wait_hot(500)
    assert following.drain() == 0
    assert lane.hot_rows() == rows(1, 500)


def _wait(lane: TestLane, path: str, sequence: int) -> None:
    if path == "hot":
        lane.wait_hot(sequence)
    else:
        lane.wait_lake(sequence)
