"""Publishes messages into a stream and knows the fate of each one.

Up to ``max_in_flight`` messages wait for their acknowledgement; each is sent again, under the same
message id, until it comes. What is acknowledged goes into the manifest, nothing else does.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ingest.errors import StreamUnavailableError
from ingest.settings import NatsSettings
from simulator.connect import connect
from simulator.errors import PublishRefusedError, PublishStalledError, passes, stores_nothing
from simulator.lanes import Lanes
from simulator.manifest import Manifest, ManifestBuilder, Origin
from simulator.readings import Message
from simulator.servers import parse_servers
from simulator.source import Source
from simulator.transports import Connection
from simulator.window import Ack, Window

MAX_WRITE = 512
HEADER_ROOM = 256
TICK_S = 0.1
PAUSE_MAX_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """How to publish.

    ``max_in_flight``: unacknowledged messages at most. ``message_ids``: send ``Nats-Msg-Id``, so
    that the server stores a resent message once. ``ack_timeout_s``: a message without answer is
    sent again after this. ``patience_s``: give up when nothing was acknowledged for so long.
    """

    nats: NatsSettings
    max_in_flight: int = 4_096
    message_ids: bool = True
    ack_timeout_s: float = 5.0
    patience_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of a run so far; ``elapsed_s`` since it started."""

    acknowledged: int
    in_flight: int
    resent: int
    connected: bool
    elapsed_s: float


def new_run_id() -> str:
    """A random id of 12 hex digits, so that a second run is never taken for the first."""
    return secrets.token_hex(6)


class Publisher:
    """One run: publishes an iterable once and builds its manifest.

    ``manifest()`` and ``stats()`` may be called at any time, also after ``run`` has raised.
    """

    def __init__(self, options: PublishOptions, origin: Origin) -> None:
        self.options = options
        self._builder = ManifestBuilder(origin)
        self._window = Window(self._builder, message_ids=options.message_ids)
        self._connection: Connection | None = None
        self._wake = asyncio.Event()
        self._stopped = False
        self._exhausted = False
        self._failure: PublishRefusedError | None = None
        self._started = time.monotonic()
        timeout_s = options.nats.request_timeout_s
        self._lanes = Lanes(self._window, self._builder, self._settle, timeout_s)

    def stop(self) -> None:
        """Takes no further message from the source; what is in flight is still waited for."""
        self._stopped = True
        self._wake.set()

    def manifest(self) -> Manifest:
        """What has been acknowledged so far."""
        return self._builder.build(exhausted=self._exhausted, unknown=len(self._window))

    def stats(self) -> Stats:
        """Live counts, for whoever displays them."""
        connection = self._connection
        return Stats(
            acknowledged=self._builder.messages,
            in_flight=len(self._window),
            resent=self._builder.resent,
            connected=connection is not None and not connection.closed.is_set(),
            elapsed_s=time.monotonic() - self._started,
        )

    async def run(self, messages: Iterable[Message]) -> Manifest:
        """Publishes every message and waits until each is acknowledged.

        Raises PublishRefusedError when the server will not store a message (stream full, no such
        stream, too large), PublishStalledError after ``patience_s`` without an acknowledgement,
        SettingsError for a wrong URL or credentials, and any IngestError of the source, after
        waiting for what was sent before it.
        """
        self._started = time.monotonic()
        source = Source(messages)
        try:
            await self._pump(source)
            while self._window:
                await self._ready("")
                await self._sleep(TICK_S)
            self._raise_failure()
            if source.error:
                raise source.error
        finally:
            await self._disconnect()
        return self.manifest()

    async def _pump(self, source: Source) -> None:
        """Sends until the source ends or ``stop`` is called."""
        started = None
        while not self._stopped and source.subject:
            connection = await self._ready(source.subject)
            started = started or time.monotonic()
            room = self.options.max_in_flight - len(self._window)
            if room <= 0:
                await self._sleep(TICK_S)
                continue
            elapsed_s = time.monotonic() - started
            batch = source.take(min(room, MAX_WRITE), elapsed_s)
            if batch:
                await self._send(connection, batch)
            else:
                await asyncio.sleep(min(TICK_S, source.wait_s(elapsed_s)))
        self._exhausted = source.exhausted

    async def _send(self, connection: Connection, batch: list[Message]) -> None:
        limit = connection.max_payload - HEADER_ROOM
        for index, message in enumerate(batch):
            if len(message.payload) > limit:
                self._failure = PublishRefusedError(
                    f"a message of {len(message.payload)} bytes on {message.subject} exceeds the "
                    f"server's max_payload of {connection.max_payload} bytes"
                )
                batch = batch[:index]
                break
        connection.write(self._window.admit(batch, connection.inbox, time.monotonic()))
        # Lets the acknowledgements in; a full socket buffer makes the loop wait here.
        await asyncio.sleep(0)
        await connection.room(TICK_S)

    async def _ready(self, subject: str) -> Connection:
        """The connection, after everything overdue has been sent again.

        A refusal is raised once the window has drained: what the server still answers counts.
        """
        while True:
            if self._failure:
                await self._settle_rest()
                self._raise_failure()
            connection = self._connection
            if connection is None or connection.closed.is_set():
                connection = await self._reconnect(subject or self._first_subject())
            now = time.monotonic()
            self._check_alive(connection, now)
            try:
                if self._window.refused_for_now:
                    await self._sleep(TICK_S)
                if overdue := self._window.overdue(now - self.options.ack_timeout_s):
                    await self._resend(connection, overdue, self._first_subject() or subject)
            except StreamUnavailableError:
                connection.close()
                continue
            return connection

    def _check_alive(self, connection: Connection, now: float) -> None:
        _check_rights(connection)
        if not self._window:
            return
        if now - self._window.progress > self.options.patience_s:
            raise self._stalled(f"nothing was acknowledged for {self.options.patience_s:g} s")
        if now - connection.last_heard > 2 * self.options.ack_timeout_s:
            connection.close()  # a dead peer; the next round connects again

    def _stalled(self, problem: str) -> PublishStalledError:
        fate = f"; {len(self._window)} messages have an unknown fate" if self._window else ""
        return PublishStalledError(problem + fate)

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    async def _settle_rest(self) -> None:
        """Waits for the answers to what is in flight, at most one acknowledgement timeout."""
        end = time.monotonic() + self.options.ack_timeout_s
        while self._window and time.monotonic() < end and self.stats().connected:
            await self._sleep(TICK_S)

    def _first_subject(self) -> str:
        message = self._window.first_pending()
        return message.subject if message else ""

    async def _reconnect(self, subject: str) -> Connection:
        """Connects, makes sure that a stream takes the subject, sends again what is pending."""
        servers = parse_servers(self.options.nats)
        lost, pause, attempt = time.monotonic(), 0.05, 0
        while True:
            server = servers[attempt % len(servers)]
            try:
                connection = await connect(server, self.options.nats, self._settle, self._refuse)
                self._connection = connection
                await self._resend(connection, self._window.numbers, subject)
                return connection
            except StreamUnavailableError as error:
                problem = str(error)
                await self._disconnect()
                _check_rights(self._connection)
            if time.monotonic() - max(lost, self._window.progress) > self.options.patience_s:
                raise self._stalled(problem)
            attempt += 1
            if attempt % len(servers) == 0:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(PAUSE_MAX_S, pause * 2)

    async def _disconnect(self) -> None:
        if self._connection:
            await self._connection.end()

    async def _resend(self, connection: Connection, numbers: list[int], subject: str) -> None:
        """Sends again those of ``numbers`` that no lane holds, by the lanes as they are now."""
        await self._lanes.look(connection, subject)
        searched = None
        if numbers and self.options.message_ids:
            searched = await self._lanes.settle_stored(connection, numbers)
        now = time.monotonic()
        connection.write(self._window.again(numbers, connection.inbox, now, searched))

    def _settle(self, acks: list[Ack]) -> None:
        self._window.settle(acks, time.monotonic())
        if len(self._window) <= self.options.max_in_flight // 2:
            self._wake.set()

    def _refuse(self, number: int, error: dict[str, Any]) -> None:
        if passes(error):
            self._window.retry(number, stored=not stores_nothing(error))
            return
        message = self._window.refuse(number)
        if message and not self._failure:
            stream = error.get("stream") or self._builder.stream
            self._failure = PublishRefusedError(
                f"stream {stream} refused a message on {message.subject}: "
                f"{error.get('description', error)} (error {error.get('err_code', 0)})"
            )
        self._wake.set()

    async def _sleep(self, longest_s: float) -> None:
        """Waits until half of the window is free, a message is refused, or ``longest_s``."""
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), longest_s)
        except TimeoutError:
            return


def _check_rights(connection: Connection | None) -> None:
    """Raises PublishRefusedError when the user may not do what a run needs."""
    if connection and connection.problem.startswith("Permissions Violation"):
        raise PublishRefusedError(f"NATS refuses to take messages: {connection.problem}")


async def publish(messages: Iterable[Message], options: PublishOptions, origin: Origin) -> Manifest:
    """Publishes every message with acknowledgement and returns the manifest of the run.

    Raises what ``Publisher.run`` raises.
    """
    return await Publisher(options, origin).run(messages)
