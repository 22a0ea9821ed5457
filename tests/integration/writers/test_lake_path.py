"""The lake path against the real servers: every message once in Iceberg, in fair weather."""

from __future__ import annotations

from tests.support.lane import TestLane


def test_every_message_is_one_row_and_sigterm_commits_the_rest(lane: TestLane) -> None:
    """Commits come by size and age; SIGTERM commits what is spooled and ends with exit 0."""
    lane.init()
    lane.publish(lane.readings(12_000))
    lake = lane.start("lake", IOT_LAKE__COMMIT_MAX_AGE_S="3600")
    lane.wait_lake(10_000)

    assert lake.drain() == 0
    assert lane.lake_rows() == [(seq, 0) for seq in range(1, 12_001)]
    mark = lane.sink().watermark(lane.lake_table())
    assert mark is not None
    assert mark.sequence == 12_000


def test_a_range_of_refused_messages_only_moves_the_watermark(lane: TestLane) -> None:
    """A commit without rows carries its range all the same, and the next one follows it."""
    lane.init()
    lane.publish([b"not json"] * 50)
    lake = lane.start("lake")
    lane.wait_lake(50)
    lane.publish(lane.readings(10))
    lane.wait_lake(60)

    assert lake.drain() == 0
    assert lane.lake_rows() == [(seq, 0) for seq in range(51, 61)]
