"""A process killed at each step of both protocols: nothing lost, nothing twice, after a restart.

Each case ends with the proof over both sinks, and with the sender's own manifest.
"""

from __future__ import annotations

import signal
from itertools import chain

import pytest

from ingest.fault_points import FaultPoint
from tests.support.lane import TestLane
from tests.support.sent import expect_proven, send

HOT = [point for point in FaultPoint if point.startswith("hot.")]
LAKE = [point for point in FaultPoint if point.startswith("lake.")]
DLQ = [point for point in FaultPoint if point.startswith("dlq.")]
# What is under way at these cannot be told from what is not; the rest is for `make chaos`.
SHORT = {
    FaultPoint.HOT_AFTER_INTENT,
    FaultPoint.HOT_WITH_NEXT_DECODED,
    FaultPoint.LAKE_AFTER_UPLOAD,
    FaultPoint.LAKE_AFTER_COMMIT,
}
OTHER = {"hot": "lake", "lake": "hot"}

# Settling is reached only by a writer that takes over from one that died with a pending range.
FIRST_FAULT = {
    FaultPoint.HOT_BEFORE_SETTLE: FaultPoint.HOT_AFTER_INTENT,
    FaultPoint.HOT_AFTER_REBUILD: FaultPoint.HOT_AFTER_INTENT,
}
# More than one batch, so that the second is ready while the first is on its way.
SEVERAL_BATCHES = {"IOT_HOT__BATCH_MAX_ROWS": "1000"}


def _cases(*points: list[FaultPoint]) -> list[object]:
    return [
        pytest.param(point, marks=[pytest.mark.short] if point in SHORT else [])
        for point in chain(*points)
    ]


def _kill_and_prove(lane: TestLane, path: str, point: FaultPoint) -> None:
    """Kills ``path`` at the point, lets a successor go on, and compares everything."""
    lane.init()
    sent = send(lane, count=3_000)
    other = lane.start(OTHER[path])
    before = FIRST_FAULT.get(point)
    if before is not None:
        assert lane.start(path, fault=f"{before}:kill").wait() == -signal.SIGKILL
    batches = SEVERAL_BATCHES if point is FaultPoint.HOT_WITH_NEXT_DECODED else {}
    killed = lane.start(path, fault=f"{point}:kill", **batches)
    assert killed.wait() == -signal.SIGKILL, "the fault point was never reached"

    survivor = lane.start(path)
    lane.wait_hot(sent.last_sequence)
    lane.wait_lake(sent.last_sequence)
    assert survivor.drain() == 0
    assert other.drain() == 0
    expect_proven(lane, sent)


@pytest.mark.parametrize("point", _cases(HOT, DLQ))
def test_the_hot_path_survives_a_kill(lane: TestLane, point: FaultPoint) -> None:
    """SIGKILL at the point; the next process leaves every reading stored exactly once."""
    _kill_and_prove(lane, "hot", point)


@pytest.mark.parametrize("point", _cases(LAKE, DLQ))
def test_the_lake_path_survives_a_kill(lane: TestLane, point: FaultPoint) -> None:
    """SIGKILL at the point; the next process leaves every reading committed exactly once."""
    _kill_and_prove(lane, "lake", point)
