"""What the dead-letter queue holds of a lane."""

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
