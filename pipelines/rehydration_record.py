"""What is kept of a rehydration in NATS: the block that may be under way, and until when it stays.

Changed only by compare-and-set, so of two runs for one day the older one cannot go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import TypeVar

import msgspec

from ingest.errors import StreamConfigError
from ingest.kept import Bucket, ConflictError, create_bucket, decode_record, open_bucket
from ingest.nats_link import connect
from ingest.settings import Settings
from pipelines.errors import DayStillWritten

FORMAT = 1
BUCKET = "maintenance"
Result = TypeVar("Result")


class Rehydration(msgspec.Struct, frozen=True):
    """What is kept under ``rehydrated.<lane>.<day>``.

    ``pending`` says that an insert may be under way, ``tries`` counts tokens that outlived their
    rows; until ``kept_until_us`` (microseconds since the Unix epoch) retention leaves the day.
    """

    format: int
    writer: str
    pending: str = ""
    tries: int = 0
    kept_until_us: int = 0
    rows: int = 0


class RehydrationRecords:
    """The records of one lane; every call connects for itself."""

    def __init__(self, settings: Settings, lane: str) -> None:
        self._settings = settings
        self._lane = lane

    def read(self, day: date) -> tuple[Rehydration | None, int]:
        """The day's record and its revision (0: there is none). Raises StreamUnavailableError."""

        async def work(bucket: Bucket) -> tuple[Rehydration | None, int]:
            kept = await bucket.read(self._key(day))
            if kept is None:
                return None, 0
            return decode_record(kept.value, Rehydration, self._key(day), FORMAT), kept.revision

        try:
            return self._run(work)
        except StreamConfigError:  # no day was ever brought back, so there is no bucket
            return None, 0

    def write(self, day: date, record: Rehydration, revision: int) -> int:
        """Replaces the record of that revision; the new one.

        Raises DayStillWritten when another run changed it since.
        """

        async def work(bucket: Bucket) -> int:
            value = msgspec.json.encode(record)
            try:
                return await bucket.compare_and_set(self._key(day), value, revision)
            except ConflictError as error:
                raise DayStillWritten(
                    f"another run brings {day} of {self._lane} back; this one ends"
                ) from error

        return self._run(work, make=True)

    def _key(self, day: date) -> str:
        return f"rehydrated.{self._lane}.{day.isoformat()}"

    def _run(self, work: Callable[[Bucket], Awaitable[Result]], *, make: bool = False) -> Result:
        async def connected() -> Result:
            link = await connect(self._settings.nats, "iot-rehydration", patient=False)
            try:
                if make:
                    await create_bucket(link, BUCKET, replicas=self._settings.stream.replicas)
                return await work(await open_bucket(link, BUCKET))
            finally:
                await link.close()

        return asyncio.run(connected())
