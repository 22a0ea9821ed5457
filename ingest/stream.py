"""The lane reader: open pulls on a consumer of its own.

A writer knows its position, so JetStream need not: every opening makes a consumer that starts
there (``AckPolicy.NONE``, memory storage) and is forgotten afterwards. Nothing is acknowledged or
redelivered. The reply subject of each message carries stream sequence, consumer sequence and
timestamp; a jump of the consumer sequence is loss on the way, a jump of the stream sequence alone
is a hole or retention.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time

import structlog
from nats.js.errors import APIError, NotFoundError

from ingest.errors import StreamUnavailableError
from ingest.frame_spans import Spans
from ingest.inbox import ClientInbox, Inbox
from ingest.messages import Messages
from ingest.metrics import ReaderMetrics
from ingest.nats_link import NatsLink
from ingest.pull_credit import PullCredit
from ingest.ranges import SequenceRange
from ingest.reader import OnLoss, ReaderInterruptedError, ReadLimit
from ingest.reply_subject import Replies, parse_replies
from ingest.settings import Settings
from ingest.stream_info import stream_state
from ingest.waiting_messages import WaitingMessages
from ingest.wire import WireInbox, wire_can

log = structlog.get_logger(__name__)

INACTIVE_S = 300
PULL_EXPIRES_S = 30
SILENT_HEARTBEATS = 2
HEARTBEAT = "100"


class PullReader:
    """LaneReader over an inbox.

    ``role`` is ``hot`` or ``lake``; ``heartbeat_s`` is asked of the server for idle pulls.
    """

    def __init__(
        self,
        link: NatsLink,
        lane: str,
        role: str,
        *,
        inbox: Inbox,
        heartbeat_s: float,
        credit: PullCredit,
        on_loss: OnLoss,
        metrics: ReaderMetrics,
    ) -> None:
        self._link = link
        self._lane = lane
        self._role = role
        self._heartbeat_s = heartbeat_s
        self._credit = credit
        self._on_loss = on_loss
        self._metrics = metrics
        self._position = 1
        self._consumer = ""
        self._consumer_seq = 0
        self._inbox = inbox
        self._watchdog: asyncio.Task[None] | None = None
        self._waiting = WaitingMessages()
        self._oldest = 0.0
        self._arrived = asyncio.Event()
        self._interruption: str | None = "not open"
        self._draining = False
        self._pull_wanted = False
        self._ticks_silent = 0

    @property
    def position(self) -> int:
        """The sequence that the next read starts with."""
        return self._position

    @property
    def buffered_bytes(self) -> int:
        """Payload bytes received and not yet returned."""
        return self._waiting.bytes

    async def open(self, position: int) -> None:
        """Opens a consumer of its own at ``position``."""
        await self.close()
        await self._check_retention(position)
        self._position = position
        self._consumer_seq = 0
        self._interruption = None
        self._draining = False
        self._ticks_silent = 0
        self._consumer = f"{self._role}-{secrets.token_hex(6)}"
        subject = self._link.client.new_inbox()
        await self._create_consumer(position)
        await self._inbox.open(subject, self)
        self._credit.reset(subject)
        await self._pull()
        self._watchdog = asyncio.create_task(self._watch(self._link.interruptions))

    async def read(self, limit: ReadLimit, wait_s: float) -> Messages | None:
        """The next run of messages; see LaneReader."""
        deadline = time.monotonic() + wait_s
        while not self._enough(limit):
            waiting = len(self._waiting)
            if self._interruption is not None and not waiting:
                raise ReaderInterruptedError(self._interruption)
            if self._interruption is not None or (self._draining and waiting):
                break
            now = time.monotonic()
            until = self._oldest + limit.longest_wait_s(waiting) if waiting else deadline
            if now >= until or (self._draining and not waiting):
                break
            await self._wait_frame(until - now)
        if not len(self._waiting):
            return None
        messages = await self._take(limit)
        await self._pull()
        return messages

    def drain(self) -> None:
        """Asks for no more; the received messages are still returned."""
        self._draining = True
        self._arrived.set()

    async def close(self) -> None:
        """Drops what was not returned, the inbox and the consumer."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        self._interruption = "closed"
        self._waiting.clear()
        await self._inbox.close()
        consumer, self._consumer = self._consumer, ""
        if consumer and self._link.connected:
            try:
                await self._link.api(f"CONSUMER.DELETE.{self._lane}.{consumer}")
            except (NotFoundError, StreamUnavailableError):
                log.debug("consumer_gone_already", consumer=consumer)

    async def delete_predecessors(self) -> None:
        """Removes the consumers that earlier writers of this role left on the lane.

        A writer that still reads through one of them sees its pulls end.
        """
        answer = await self._link.api(f"CONSUMER.LIST.{self._lane}", {"offset": 0})
        for info in answer.get("consumers") or []:
            metadata = info["config"].get("metadata") or {}
            name = info["name"]
            if metadata.get("ingest.role") == self._role and name != self._consumer:
                try:
                    await self._link.api(f"CONSUMER.DELETE.{self._lane}.{name}")
                except NotFoundError:
                    continue

    async def _create_consumer(self, position: int) -> None:
        config = {
            "name": self._consumer,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": position,
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": INACTIVE_S * 1_000_000_000,
            "metadata": {"ingest.role": self._role, "ingest.lane": self._lane},
        }
        subject = f"CONSUMER.CREATE.{self._lane}.{self._consumer}"
        try:
            await self._link.api(subject, {"stream_name": self._lane, "config": config})
        except APIError as error:
            raise StreamUnavailableError(f"no consumer on {self._lane}: {error!r}") from error

    def on_messages(self, messages: Spans) -> None:
        """Called by the inbox with messages as they come."""
        self._ticks_silent = 0
        if not len(self._waiting):
            self._oldest = time.monotonic()
        self._waiting.add(messages)
        self._credit.delivered(len(messages))
        self._arrived.set()

    def on_status(self, headers: dict[str, str]) -> None:
        """Heartbeats and the ends of pulls; the texts of the server are not looked at."""
        self._ticks_silent = 0
        if headers.get("Status") == HEARTBEAT:
            sent = headers.get("Nats-Last-Consumer")
            if sent is not None and int(sent) > self._consumer_seq + len(self._waiting):
                self._interrupt("frames lost on the way")
                self._metrics.frames_lost.inc()
            return
        unused = headers.get("Nats-Pending-Messages")
        if unused is None:
            self._interrupt(f"status {headers.get('Status')} {headers.get('Description', '')}")
            return
        self._credit.ended(int(unused))
        self._pull_wanted = True
        self._arrived.set()

    def on_lost(self, reason: str) -> None:
        """Called by the inbox when it receives nothing more."""
        self._interrupt(f"connection lost: {reason}")

    async def _pull(self) -> None:
        """Keeps pulls open as long as the buffer has room."""
        if self._draining or self._interruption is not None:
            return
        self._pull_wanted = False
        for inbox, batch, max_bytes in self._credit.grant(len(self._waiting), self._waiting.bytes):
            request = {
                "batch": batch,
                "max_bytes": max_bytes,
                "expires": PULL_EXPIRES_S * 1_000_000_000,
                "idle_heartbeat": int(self._heartbeat_s * 1e9),
            }
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._lane}.{self._consumer}"
            await self._inbox.publish(subject, json.dumps(request).encode(), inbox)
        self._metrics.pull_paused.set(0 if self._credit.outstanding else 1)
        self._metrics.buffer_bytes.set(self._waiting.bytes)

    async def _watch(self, interruptions: int) -> None:
        """Interrupts after a lost connection, or when the server is silent on open pulls.

        Counted in ticks of this loop, so that our own work on the loop is not taken for silence.
        """
        tick_s = self._heartbeat_s / 4
        while self._interruption is None:
            await asyncio.sleep(tick_s)
            if self._link.interruptions != interruptions:
                self._interrupt("connection lost")
            if self._credit.outstanding and not self._draining:
                self._ticks_silent += 1
            if self._ticks_silent > 4 * SILENT_HEARTBEATS:
                self._metrics.repulls.inc()
                self._interrupt("server silent")

    def _interrupt(self, reason: str) -> None:
        if self._interruption is None:
            self._interruption = reason
            log.info("reader_interrupted", lane=self._lane, role=self._role, reason=reason)
        self._arrived.set()

    def _enough(self, limit: ReadLimit) -> bool:
        return len(self._waiting) >= limit.messages or self._waiting.bytes >= limit.bytes

    async def _wait_frame(self, timeout_s: float) -> None:
        if self._pull_wanted:
            await self._pull()
        self._arrived.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return

    async def _take(self, limit: ReadLimit) -> Messages:
        """The buffered messages up to the limit, checked against both sequences."""
        taken = self._waiting.take(limit.messages, limit.bytes)
        self._oldest = time.monotonic()
        replies = parse_replies(taken.replies)
        good = replies.in_order(self._consumer_seq)
        if good < len(taken.payloads):
            self._metrics.frames_lost.inc()
            self._waiting.clear()
            self._interrupt("consumer sequence jumped: frames lost on the way")
            if good == 0:
                raise ReaderInterruptedError(self._interruption or "")
            replies = replies.head(good)
        self._consumer_seq += good
        await self._account_for_holes(replies)
        covered = SequenceRange(self._position, int(replies.stream_seq[-1]))
        self._position = covered.last + 1
        self._metrics.holes.inc(len(covered) - good)
        return Messages(
            sequences=replies.stream_seq,
            stored_at_ns=replies.stored_at_ns,
            subjects=taken.subjects[:good],
            payloads=taken.payloads[:good],
            covered=covered,
        )

    async def _account_for_holes(self, replies: Replies) -> None:
        missing = replies.missing(self._position)
        if not missing:
            return
        first_kept = (await stream_state(self._link, self._lane)).first_seq
        for hole in missing:
            if hole.first < first_kept:
                await self._on_loss(SequenceRange(hole.first, min(hole.last, first_kept - 1)))

    async def _check_retention(self, position: int) -> None:
        """Unread messages that the stream no longer holds are loss."""
        first_kept = (await stream_state(self._link, self._lane)).first_seq
        if first_kept > position:
            await self._on_loss(SequenceRange(position, first_kept - 1))


def open_inbox(link: NatsLink, settings: Settings) -> Inbox:
    """The fastest inbox that can connect as the settings ask."""
    if settings.writer.reader == "wire" and wire_can(settings.nats):
        return WireInbox(link, settings.nats)
    return ClientInbox(link)
