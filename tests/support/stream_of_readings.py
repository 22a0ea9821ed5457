"""A publisher in a thread that keeps a rate through outages and knows what was acknowledged."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Self

from nats.errors import Error

from ingest.errors import IngestError
from ingest.nats_link import NatsLink, connect
from tests.support.lane import TestLane, reading
from tests.support.waiting import until

BURST_S = 0.05


class StreamOfReadings:
    """Publishes readings of ascending numbers at about ``rate`` a second until the block ends.

    A reading without an acknowledgement is not published again: it may be stored or not.
    """

    def __init__(self, lane: TestLane, rate: int) -> None:
        self._lane = lane
        self._burst = max(1, int(rate * BURST_S))
        self._stop = threading.Event()
        self._next = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.acknowledged: set[int] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def wait(self, count: int) -> None:
        """Waits until ``count`` readings have been acknowledged."""
        until(lambda: len(self.acknowledged) >= count, f"{count} acknowledged readings", 60)

    def expect_all_in(self, values: Counter[float]) -> None:
        """Every acknowledged reading is there, and none more than once."""
        missing = [number for number in self.acknowledged if values[number * 0.5] != 1]
        assert missing == []
        assert max(values.values()) == 1

    async def _run(self) -> None:
        link = await connect(self._lane.settings.nats, "test-publisher")
        try:
            while not self._stop.is_set():
                numbers = range(self._next, self._next + self._burst)
                self._next = numbers.stop
                await asyncio.gather(*(self._publish(link, number) for number in numbers))
                await asyncio.sleep(BURST_S)
        finally:
            await link.close()

    async def _publish(self, link: NatsLink, number: int) -> None:
        subject = f"{self._lane.subject_root}.s.d.m"
        try:
            await link.available(
                lambda: link.js.publish(subject, reading(number), timeout=2, stream=None)
            )
        except (IngestError, Error):
            return
        self.acknowledged.add(number)
