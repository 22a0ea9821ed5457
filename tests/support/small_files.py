"""A lake table with many small files, made by the lake writer itself."""

from __future__ import annotations

from tests.support.lane import TestLane, reading

ROWS_OF_A_COMMIT = 50
LIMITS = ("IOT_LAKE__COMMIT_MAX_ROWS", "IOT_LAKE__DECODE_MAX_ROWS")


def many_small_files(lane: TestLane, commits: int, *, start: int = 0, ts: str = "") -> int:
    """At least ``commits`` commits by the lake writer and the same rows in the hot table.

    ``ts`` is the event time of every reading, now without it. Returns the last sequence; no writer
    is left running.
    """
    number = range(start, start + commits * ROWS_OF_A_COMMIT)
    times = {"ts": ts} if ts else {}
    lane.publish(reading(n, **times) for n in number)
    last = lane.state().last_seq
    writers = [
        lane.start("lake", **dict.fromkeys(LIMITS, str(ROWS_OF_A_COMMIT))),
        lane.start("hot"),
    ]
    lane.wait_lake(last, 90)
    lane.wait_hot(last, 60)
    for writer in writers:
        assert writer.drain() == 0
    return last
