"""Messages of a lane whose outcome is known, stored by both paths, and the proof over them.

Everything runs in the test's own process, so that a test takes a second or two.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ingest.hot_entry import EntryStore
from ingest.kept import LEASE_BUCKET, open_bucket
from ingest.lane import Lane
from ingest.lease import Lease
from ingest.metrics import Metrics
from ingest.nats_link import NatsLink
from ingest.provision import init
from ingest.registry import RegistryStore
from ingest.service import Service
from ingest.verify import Progress, VerifyOptions, verify
from tests.support.lane import TestLane, reading

MESSAGES = 300
MALFORMED = {50: b"not json", 51: b"", 200: b'{"device_id": 7}'}
"""Payloads that must be refused, by sequence."""
STORED_WITHIN_S = 30.0


class NoProgress(Progress):
    """Shows nothing."""

    def start(self, sequences: int) -> None:
        """Nothing."""

    def advance(self, sequences: int) -> None:
        """Nothing."""


def payloads(count: int = MESSAGES) -> list[bytes]:
    """Readings with refused messages between them; sequence 100 carries three rows."""
    rows = [json.loads(reading(1000 + number)) for number in range(3)]
    special = MALFORMED | {100: json.dumps(rows).encode()}
    return [
        special[number] if number in special else reading(number) for number in range(1, count + 1)
    ]


def provision(lane: TestLane) -> None:
    """What `ingest init` makes."""
    asyncio.run(init(lane.settings))


def store(lane: TestLane, upto: int, *paths: str, leaving: str = "") -> None:
    """Runs the paths (both when none is named) until they have stored ``upto``.

    With ``leaving`` under another epoch than that one.
    """

    async def work(link: NatsLink) -> None:
        await asyncio.gather(
            *(_write(lane, link, path, (upto, leaving)) for path in paths or ("hot", "lake"))
        )

    lane.run_async(work)


async def _write(lane: TestLane, link: NatsLink, path: str, goal: tuple[int, str]) -> None:
    bucket = await open_bucket(link)
    settings = lane.settings
    writer = Lane(
        link=link,
        store=RegistryStore(link, bucket, lane.stream),
        contract=lane.contract,
        settings=settings,
        metrics=Metrics(lane.stream, path),
        path=path,
    )
    lease = Lease(await open_bucket(link, LEASE_BUCKET), path, lane.stream, path, 1.0)
    service = Service(writer, bucket, lease, f"{path}-{lane.tag}")
    running = asyncio.create_task((service.hot() if path == "hot" else service.lake()).run())
    try:
        async with asyncio.timeout(STORED_WITHIN_S):
            while not running.done() and not await _reached(lane, link, path, goal):
                await asyncio.wait({running}, timeout=0.05)
        writer.stopping.ask()
        await running
    finally:
        running.cancel()
        writer.close()


async def _reached(lane: TestLane, link: NatsLink, path: str, goal: tuple[int, str]) -> bool:
    upto, leaving = goal
    if path == "hot":
        entry = await EntryStore(await open_bucket(link), lane.stream, "test").peek()
        mark = entry.done if entry is not None else None
    else:
        sink = lane.sink()
        mark = sink.watermark(await asyncio.to_thread(sink.load))
    return mark is not None and mark.sequence >= upto and mark.epoch != leaving


def proof(lane: TestLane, **options: Any) -> dict[str, Any]:
    """The report of one run as JSON would have it."""
    return asyncio.run(verify(lane.settings, VerifyOptions(**options), NoProgress())).as_dict()


def found(report: dict[str, Any]) -> set[tuple[str, str, tuple[int, ...]]]:
    """(side, problem, sequences) of every finding."""
    return {
        (
            one["side"],
            one["problem"],
            tuple(n for first, last in one["sequences"] for n in range(first, last + 1)),
        )
        for one in report["findings"]
    }
