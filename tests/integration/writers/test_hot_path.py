"""The hot path against the real servers: every message once in ClickHouse, in fair weather."""

from __future__ import annotations

from tests.support.lane import TestLane


def test_every_message_is_one_row_and_sigterm_drains(lane: TestLane) -> None:
    """A backlog and later messages are all stored once; SIGTERM ends with exit 0."""
    lane.init()
    lane.publish(lane.readings(5_000))
    hot = lane.start("hot")
    lane.wait_hot(5_000)
    lane.publish(lane.readings(1_000, start=5_000))
    lane.wait_hot(6_000)

    assert hot.drain() == 0
    assert lane.hot_rows() == [(seq, 0) for seq in range(1, 6_001)]
    entry = lane.hot_entry()
    assert entry is not None
    assert entry.pending is None


def test_a_restart_goes_on_after_the_watermark(lane: TestLane) -> None:
    """Stopping and starting neither repeats nor skips a message."""
    lane.init()
    for start in (0, 700, 1_400):
        lane.publish(lane.readings(700, start=start))
        hot = lane.start("hot")
        lane.wait_hot(start + 700)
        assert hot.drain() == 0

    assert lane.hot_rows() == [(seq, 0) for seq in range(1, 2_101)]
