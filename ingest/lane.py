"""What both writers of a lane share: connection, registry, decoding under it, loss policy."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import structlog

from ingest.batches import Batch, cut
from ingest.contract import Contract
from ingest.decode import Decoded, Decoder
from ingest.dlq import DeadLetterQueue
from ingest.errors import DataLostError, IngestError, Transient
from ingest.messages import Messages
from ingest.metrics import Metrics
from ingest.nats_link import NatsLink
from ingest.ranges import SequenceRange
from ingest.reader import ReaderInterruptedError
from ingest.registry import Epoch, Loss, Registry, RegistryStore, Version
from ingest.settings import Settings
from ingest.stopping import DrainTimeoutError, Stopping
from ingest.tracing import BeginTrace, Step, no_trace, range_facts

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


class Lane:
    """One lane as one writer sees it. ``path`` is ``hot`` or ``lake``."""

    def __init__(
        self,
        *,
        link: NatsLink,
        store: RegistryStore,
        contract: Contract,
        settings: Settings,
        metrics: Metrics,
        path: str,
        stopping: Stopping | None = None,
        accept_loss: bool = False,
        begin_trace: BeginTrace = no_trace,
    ) -> None:
        self.link = link
        self.name = store.lane
        self.store = store
        self.contract = contract
        self.settings = settings
        self.metrics = metrics
        self.path = path
        self.dlq = DeadLetterQueue(link, store.lane)
        self.stopping = stopping or Stopping()
        link.stopping = self.stopping
        self._accept_loss = accept_loss
        self._begin_trace = begin_trace
        self._decoders: dict[int, Decoder] = {}
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix=f"{path}-decode")
        self._blocking = ThreadPoolExecutor(2, thread_name_prefix=f"{path}-sink")

    async def batches(
        self, messages: Messages, known: Registry, *, max_rows: int, max_bytes: int, since: float
    ) -> AsyncIterator[Batch]:
        """The messages decoded and cut; the refused ones of a batch are in the DLQ before it comes.

        ``since`` (CLOCK_MONOTONIC) is when the messages were asked for, for the batches' traces.
        Decoded under the epochs and versions in force: the registry is read after the messages
        were received; see ``ingest.registry``. Raises ReaderInterruptedError when a new history was
        registered since ``known``: messages in hand may be of the one before.
        """
        read = _step("read", since, messages)
        registry = await self.store.read()
        assert registry is not None
        if registry.record.epochs != known.record.epochs:
            raise ReaderInterruptedError("another writer registered a new history")
        rest: Messages | None = messages
        while rest is not None:
            head, rest = _split(rest, registry)
            first = int(head.sequences[0])
            epoch, version = registry.epoch_of(first), registry.version_of(first)
            started = time.monotonic()
            decoded = await self.decode(head, epoch, version)
            steps = [read, _step("decode", started, head)]
            if decoded.refused:
                started = time.monotonic()
                await self.dlq.publish(decoded.refused, version.number)
                steps.append(_step("refuse", started, head, refused=len(decoded.refused)))
            for batch in cut(
                head,
                decoded,
                epoch=epoch.id,
                version=version.number,
                max_rows=max_rows,
                max_bytes=max_bytes,
            ):
                yield replace(batch, trace=self._begin_trace(steps))

    async def decode(self, messages: Messages, epoch: Epoch, version: Version) -> Decoded:
        """Rows and refused messages, decoded in a worker thread."""
        decoder = self._decoders.get(version.number)
        if decoder is None:
            contract = Contract.from_json(version.contract)
            decoder = self._decoders[version.number] = Decoder(contract, lane=self.name)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._decoding, lambda: decoder.decode(messages, epoch=epoch.id)
        )

    async def blocking(self, work: Callable[[], Result]) -> Result:
        """Runs a sink's blocking call in a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._blocking, work)

    async def patiently(self, work: Callable[[], Result], what: str) -> Result:
        """Like ``blocking``; transient errors are waited out with back-off.

        Raises DrainTimeoutError when the process has been asked to stop and the grace is over.
        """
        pause = Backoff(self.settings.writer.backoff_max_s)
        while True:
            try:
                return await self.blocking(work)
            except IngestError as error:
                if not isinstance(error, Transient):
                    raise
                log.warning("waiting_for_sink", path=self.path, step=what, problem=str(error))
                await self.pause(pause, error)

    async def still_wanted(self) -> None:
        """Raises DrainTimeoutError when the grace of a stop is over."""
        self.stopping.require_time(f"{self.name}/{self.path}")

    async def pause(self, pause: Backoff, error: Exception) -> None:
        """Waits before the next try unless there is no time left for one."""
        if self.stopping.overdue:
            raise DrainTimeoutError(
                f"{self.name}/{self.path} was asked to stop while its sink is away ({error}); what"
                " is under way stays on record and is settled at the next start"
            ) from error
        await asyncio.sleep(pause.next())

    async def on_loss(self, lost: SequenceRange) -> None:
        """Unread messages that retention removed: alarm, and stop unless that was accepted."""
        registry = await self.store.read()
        assert registry is not None
        epoch = registry.epoch_of(lost.first)
        on_record = Loss(self.path, epoch.id, lost.first, lost.last)
        if any(
            (loss.path, loss.epoch) == (self.path, epoch.id)
            and loss.first <= lost.first
            and lost.last <= loss.last
            for loss in registry.record.losses
        ):
            return
        self.metrics.event("ingest_lost_messages").inc(len(lost))
        log.error("messages_lost_to_retention", lane=self.name, path=self.path, lost=str(lost))
        if not self._accept_loss:
            raise DataLostError(
                f"retention removed messages {lost} of {self.name} before {self.path} had read"
                " them; make the stream larger (stream.max_bytes, stream.max_age_h), and go on"
                f" without them by `ingest run {self.path} --accept-loss`"
            )
        await self.store.accept_loss(on_record)

    def close(self) -> None:
        """Ends the worker threads."""
        self._decoding.shutdown(wait=False, cancel_futures=True)
        self._blocking.shutdown(wait=False, cancel_futures=True)


def _step(name: str, start: float, messages: Messages, **facts: int) -> Step:
    """A step of a whole run of messages that ends now."""
    covered = range_facts(messages.covered)
    return Step(name, start, time.monotonic(), {**covered, "messages": len(messages), **facts})


class Backoff:
    """Pauses that double up to a longest one, with jitter."""

    def __init__(self, longest_s: float, first_s: float = 0.1) -> None:
        self._longest_s = longest_s
        self._next_s = first_s

    def next(self) -> float:
        """The next pause in seconds."""
        pause = self._next_s
        self._next_s = min(self._next_s * 2, self._longest_s)
        return pause * random.uniform(0.5, 1.0)


def _split(messages: Messages, registry: Registry) -> tuple[Messages, Messages | None]:
    """The messages before the next change of epoch or version, and the rest."""
    first = int(messages.sequences[0])
    change = registry.next_change(first)
    if change is None or change > int(messages.sequences[-1]):
        return messages, None
    index = int(messages.sequences.searchsorted(change))
    last = int(messages.sequences[index - 1])
    head = messages.slice(0, index, SequenceRange(messages.covered.first, last))
    rest = messages.slice(index, len(messages), SequenceRange(last + 1, messages.covered.last))
    return head, rest
