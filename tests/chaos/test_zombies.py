"""A writer that wakes up after another one took its lane over stores nothing and ends with 4."""

from __future__ import annotations

import pytest

from ingest.errors import EXIT_FENCED
from ingest.fault_points import FaultPoint
from tests.support.chaos import go_on, rows, wait_said, wait_stopped
from tests.support.lane import TestLane

MESSAGES = 3_000


@pytest.mark.parametrize(
    "point",
    [
        FaultPoint.HOT_BEFORE_INTENT,
        pytest.param(FaultPoint.HOT_AFTER_INTENT, marks=pytest.mark.short),
        FaultPoint.HOT_WITH_NEXT_DECODED,
        FaultPoint.HOT_AFTER_INSERT,
    ],
)
def test_a_hot_zombie_stores_nothing(lane: TestLane, point: FaultPoint) -> None:
    """Stopped at the point, overtaken, woken up: exit 4, and every row is there once."""
    lane.init()
    lane.publish(lane.readings(MESSAGES))
    zombie = lane.start("hot", fault=f"{point}:stop", IOT_HOT__BATCH_MAX_ROWS="1000")
    wait_stopped(zombie)

    successor = lane.start("hot")
    wait_said(successor, "writing")
    lane.publish(lane.readings(100, start=MESSAGES))
    lane.wait_hot(MESSAGES + 100)
    go_on(zombie)
    assert zombie.wait() == EXIT_FENCED

    lane.publish(lane.readings(100, start=MESSAGES + 100))
    lane.wait_hot(MESSAGES + 200)
    assert successor.drain() == 0
    assert lane.hot_rows() == rows(1, MESSAGES + 200)


@pytest.mark.parametrize(
    "point",
    [
        FaultPoint.LAKE_AFTER_SPOOL,
        pytest.param(FaultPoint.LAKE_AFTER_UPLOAD, marks=pytest.mark.short),
        FaultPoint.LAKE_AFTER_COMMIT,
    ],
)
def test_a_lake_zombie_commits_nothing(lane: TestLane, point: FaultPoint) -> None:
    """Stopped at the point, overtaken, woken up: exit 4, and every row is there once."""
    lane.init()
    lane.publish(lane.readings(MESSAGES))
    zombie = lane.start("lake", fault=f"{point}:stop", IOT_LAKE__COMMIT_MAX_ROWS="1000")
    wait_stopped(zombie)
    before = lane.lake_table().current_snapshot()

    successor = lane.start("lake")
    wait_said(successor, "writing")
    lane.wait_lake(MESSAGES)
    lane.publish(lane.readings(100, start=MESSAGES))
    go_on(zombie)
    assert zombie.wait() == EXIT_FENCED

    lane.wait_lake(MESSAGES + 100)
    assert successor.drain() == 0
    assert lane.lake_rows() == rows(1, MESSAGES + 100)
    writers = {
        snapshot.summary["ingest.writer"]
        for snapshot in lane.lake_table().snapshots()
        if before is None or snapshot.sequence_number > before.sequence_number
    }
    assert len(writers) == 1
