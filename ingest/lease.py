"""The lease that lets a standby wait: for liveness only; the fence is what keeps rows single.

The lease is an entry in a bucket whose entries vanish after the time to live. Its holder writes it
again every third of that time. Losing it stops nobody by itself: whoever takes the lane over moves
the fence, and the writer before finds that out at its next write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from ingest.errors import StreamUnavailableError
from ingest.kept import Bucket, ConflictError

log = structlog.get_logger(__name__)

POLL_S = 0.25


class Lease:
    """One writer's claim on ``<path>.<lane>``; ``ttl_s`` is the bucket's time to live."""

    def __init__(self, bucket: Bucket, path: str, lane: str, writer: str, ttl_s: float) -> None:
        self._bucket = bucket
        self._key = f"{path}.{lane}"
        self._writer = writer.encode()
        self._ttl_s = ttl_s
        self._revision = 0
        self._held = False

    @contextlib.asynccontextmanager
    async def held(self, stop: asyncio.Event) -> AsyncIterator[bool]:
        """Waits as standby until the lease is free, holds it inside, gives it back at the end.

        Yields False when ``stop`` was set while waiting.
        """
        if not await self._acquire(stop):
            yield False
            return
        self._held = True
        renewing = asyncio.create_task(self._renew())
        try:
            yield True
        finally:
            # Not by cancelling alone: an answer that comes at that moment would swallow it.
            self._held = False
            renewing.cancel()
            await asyncio.wait({renewing})
            if not renewing.cancelled() and (problem := renewing.exception()) is not None:
                log.warning("lease_not_renewed", lease=self._key, problem=str(problem))
            with contextlib.suppress(StreamUnavailableError, asyncio.CancelledError):
                await self._give_back()

    async def _acquire(self, stop: asyncio.Event) -> bool:
        told = False
        while not stop.is_set():
            try:
                held = await self._bucket.read(self._key)
                if held is None:
                    self._revision = await self._bucket.compare_and_set(self._key, self._writer, 0)
                    return True
                if not told:
                    log.info("standby", lease=self._key, holder=held.value.decode())
                    told = True
            except (ConflictError, StreamUnavailableError) as error:
                log.debug("lease_waiting", lease=self._key, problem=repr(error))
            await asyncio.sleep(POLL_S)
        return False

    async def _renew(self) -> None:
        while self._held:
            await asyncio.sleep(self._ttl_s / 3)
            try:
                self._revision = await self._bucket.compare_and_set(
                    self._key, self._writer, self._revision
                )
            except ConflictError:
                await self._claim_again()

    async def _claim_again(self) -> None:
        """The entry aged out while NATS was away: ours again unless another holds it now."""
        try:
            held = await self._bucket.read(self._key)
            if held is None:
                self._revision = await self._bucket.compare_and_set(self._key, self._writer, 0)
            elif held.value == self._writer:
                self._revision = held.revision
        except (ConflictError, StreamUnavailableError) as error:
            log.debug("lease_lost", lease=self._key, problem=repr(error))

    async def _give_back(self) -> None:
        held = await self._bucket.read(self._key)
        if held is not None and held.value == self._writer:
            await self._bucket.delete(self._key)
