"""How a reader receives the frames of its pull inbox: by nats-py, or on a connection of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ingest.frame_spans import Spans
from ingest.nats_link import NatsLink


class FrameSink(Protocol):
    """Where an inbox delivers; called on the event loop, in order of arrival."""

    def on_messages(self, messages: Spans) -> None:
        """Messages of the lane."""

    def on_status(self, headers: dict[str, str]) -> None:
        """A status frame: a heartbeat, or the end of a pull."""

    def on_lost(self, reason: str) -> None:
        """The inbox receives nothing more."""


class Inbox(Protocol):
    """One opening's inbox; ``<subject>.<anything>`` reaches the sink."""

    async def open(self, subject: str, sink: FrameSink) -> None:
        """Starts to receive. Raises StreamUnavailableError."""

    async def publish(self, subject: str, payload: bytes, reply: str) -> None:
        """Sends one request whose answers come to ``reply``."""

    async def close(self) -> None:
        """Stops receiving; harmless when it has not started."""


class ClientInbox:
    """Inbox over nats-py's connection: works with everything that nats-py can connect to."""

    def __init__(self, link: NatsLink) -> None:
        self._link = link
        self._subscription: Subscription | None = None
        self._waiting: list[Msg] = []

    async def open(self, subject: str, sink: FrameSink) -> None:
        """Subscribes."""
        loop = asyncio.get_running_loop()
        waiting: list[Msg] = []
        self._waiting = waiting

        def deliver() -> None:
            frames, waiting[:] = waiting[:], []
            if frames:
                sink.on_messages(
                    Spans.of(
                        [frame.subject.encode() for frame in frames],
                        [frame.reply.encode() for frame in frames],
                        [frame.data for frame in frames],
                    )
                )

        async def on_frame(frame: Msg) -> None:
            if frame.reply:
                # nats-py hands over one at a time all that it has: they are delivered together.
                if not waiting:
                    loop.call_soon(deliver)
                waiting.append(frame)
            else:
                deliver()
                sink.on_status(frame.headers or {})

        self._subscription = await self._link.available(
            lambda: self._link.client.subscribe(
                f"{subject}.*", cb=on_frame, pending_msgs_limit=-1, pending_bytes_limit=-1
            )
        )

    async def publish(self, subject: str, payload: bytes, reply: str) -> None:
        """Publishes through nats-py."""
        await self._link.available(lambda: self._link.client.publish(subject, payload, reply=reply))

    async def close(self) -> None:
        """Unsubscribes."""
        self._waiting.clear()
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._link.client.is_closed:
            await subscription.unsubscribe()
