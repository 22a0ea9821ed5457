"""A process killed at each step of both protocols: nothing lost, nothing twice, after a restart."""

from __future__ import annotations

import signal

import pytest

from ingest.fault_points import FaultPoint
from tests.support.lane import TestLane
from tests.support.outcome import expect_exactly_once

MESSAGES = 3_000
REFUSED_EVERY = 100

HOT = [point for point in FaultPoint if point.startswith("hot.")]
LAKE = [point for point in FaultPoint if point.startswith("lake.")]
DLQ = [point for point in FaultPoint if point.startswith("dlq.")]

# Settling is reached only by a writer that takes over from one that died with a pending range, or
# by one whose commit had no answer.
FIRST_FAULT = {
    FaultPoint.HOT_BEFORE_SETTLE: FaultPoint.HOT_AFTER_INTENT,
    FaultPoint.HOT_AFTER_REBUILD: FaultPoint.HOT_AFTER_INTENT,
}


def _publish(lane: TestLane) -> None:
    payloads = lane.readings(MESSAGES)
    for index in range(0, MESSAGES, REFUSED_EVERY):
        payloads[index] = b'{"broken": '
    lane.publish(payloads)


@pytest.mark.crash
@pytest.mark.parametrize("point", [*HOT, *DLQ])
def test_the_hot_path_survives_a_kill(lane: TestLane, point: FaultPoint) -> None:
    """SIGKILL at the point; the next process leaves every reading stored exactly once."""
    lane.init()
    _publish(lane)
    before = FIRST_FAULT.get(point)
    if before is not None:
        assert lane.start("hot", fault=f"{before}:kill").wait() == -signal.SIGKILL
    killed = lane.start("hot", fault=f"{point}:kill")
    assert killed.wait() == -signal.SIGKILL, "the fault point was never reached"

    survivor = lane.start("hot")
    lane.wait_hot(MESSAGES)
    assert survivor.drain() == 0
    expect_exactly_once(lane, MESSAGES, REFUSED_EVERY, hot=True)


@pytest.mark.crash
@pytest.mark.parametrize("point", [*LAKE, *DLQ])
def test_the_lake_path_survives_a_kill(lane: TestLane, point: FaultPoint) -> None:
    """SIGKILL at the point; the next process leaves every reading committed exactly once."""
    lane.init()
    _publish(lane)
    killed = lane.start("lake", fault=f"{point}:kill", IOT_LAKE__COMMIT_MAX_ROWS="1000")
    assert killed.wait() == -signal.SIGKILL, "the fault point was never reached"

    survivor = lane.start("lake", IOT_LAKE__COMMIT_MAX_ROWS="1000")
    lane.wait_lake(MESSAGES)
    assert survivor.drain() == 0
    expect_exactly_once(lane, MESSAGES, REFUSED_EVERY, lake=True)
