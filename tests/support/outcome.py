"""What must hold at the end of every crash: each sequence stored once or refused once."""

from __future__ import annotations

from ingest.nats_link import NatsLink
from tests.support.lane import TestLane


def dead_letters(lane: TestLane) -> list[int]:
    """Sequences of the lane in the dead-letter queue, in order; doubles would show."""

    async def work(link: NatsLink) -> list[int]:
        info = await link.api(
            "STREAM.INFO.DLQ", {"subjects_filter": f"dlq.{lane.stream}.>", "offset": 0}
        )
        subjects = info["state"].get("subjects") or {}
        found: list[int] = []
        for subject, count in subjects.items():
            found += [int(subject.split(".")[2])] * count
        return sorted(found)

    return lane.run_async(work)


def expect_exactly_once(
    lane: TestLane, messages: int, refused_every: int, *, hot: bool = False, lake: bool = False
) -> None:
    """Every ``refused_every``-th message from the first is refused, all others are one row each."""
    refused = set(range(1, messages + 1, refused_every))
    stored = [(seq, 0) for seq in range(1, messages + 1) if seq not in refused]
    if hot:
        assert lane.hot_rows() == stored
    if lake:
        assert lane.lake_rows() == stored
    assert dead_letters(lane) == sorted(refused)
