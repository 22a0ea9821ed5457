"""An inbox on a TCP connection of its own, whose frames are parsed in bulk.

nats-py handles one message at a time, with a task switch each; here a whole read of the socket is
parsed at once. The connection only pulls: everything else of JetStream stays nats-py's, which also
chooses the server. When it is lost it is not opened again; the reader opens a new one.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from ingest.errors import SettingsError, StreamUnavailableError
from ingest.frames import FrameError, FrameParser, Frames
from ingest.inbox import FrameSink
from ingest.nats_link import NatsLink, unless_refused_again
from ingest.settings import NatsSettings

DEFAULT_PORT = 4222


@dataclass(frozen=True, slots=True)
class Login:
    """What CONNECT says of who we are; empty fields are left out."""

    user: str = ""
    password: str = ""
    token: str = ""

    def fields(self) -> dict[str, str]:
        """Fields of the CONNECT frame."""
        named = {"user": self.user, "pass": self.password, "auth_token": self.token}
        return {name: value for name, value in named.items() if value}


def wire_can(settings: NatsSettings) -> bool:
    """Whether this inbox knows how to connect; websockets and credential files are nats-py's."""
    urls = settings.url.get_secret_value().split(",")
    return settings.creds_file is None and all(
        urlsplit(url if "://" in url else f"nats://{url}").scheme in {"nats", "tls"} for url in urls
    )


class WireInbox:
    """Inbox over a connection of its own to the server that ``link`` is connected to."""

    def __init__(self, link: NatsLink, settings: NatsSettings) -> None:
        self._link = link
        self._settings = settings
        self._connection: WireConnection | None = None

    async def open(self, subject: str, sink: FrameSink) -> None:
        """Connects, signs in and subscribes. Raises StreamUnavailableError, SettingsError."""
        connection = await unless_refused_again(lambda: self._signed_in(sink))
        connection.write(b"SUB %b.* 1\r\n" % subject.encode())
        self._connection = connection

    async def publish(self, subject: str, payload: bytes, reply: str) -> None:
        """Sends one request."""
        if self._connection is not None:
            head = f"PUB {subject} {reply} {len(payload)}\r\n".encode()
            self._connection.write(head + payload + b"\r\n")

    async def close(self) -> None:
        """Ends the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _signed_in(self, sink: FrameSink) -> WireConnection:
        await self._link.wait_connected()
        url = self._link.client.connected_url
        if url is None:
            raise StreamUnavailableError("NATS is not connected")
        connection = WireConnection(sink)
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._connect(connection, url.hostname or "", url.port or DEFAULT_PORT)
                await connection.sign_in(_login(self._settings))
        except (TimeoutError, OSError) as error:
            connection.close()
            raise StreamUnavailableError(f"NATS does not answer: {error!r}") from error
        return connection

    async def _connect(self, connection: WireConnection, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: connection, host, port)
        info = await connection.info()
        scheme = urlsplit(self._settings.url.get_secret_value().split(",")[0]).scheme
        if info.get("tls_required") or scheme == "tls" or self._settings.tls_ca_file:
            ca = str(self._settings.tls_ca_file) if self._settings.tls_ca_file else None
            context = ssl.create_default_context(cafile=ca)
            await connection.upgrade(context, host)


class WireConnection(asyncio.Protocol):
    """The asyncio side of one connection."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink
        self._parser = FrameParser()
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._info: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._pong: asyncio.Future[None] = loop.create_future()
        self._closed = False
        self._problem = ""

    async def info(self) -> dict[str, Any]:
        """What the server says of itself first."""
        return await self._info

    async def sign_in(self, login: Login) -> None:
        """Sends CONNECT; returns when the server has accepted it."""
        options = {
            "verbose": False,
            "pedantic": False,
            "headers": True,
            "no_responders": True,
            "lang": "python",
            "version": "1",
            "protocol": 1,
            "name": "ingest-reader",
            **login.fields(),
        }
        self.write(b"CONNECT %b\r\nPING\r\n" % json.dumps(options).encode())
        await self._pong

    async def upgrade(self, context: ssl.SSLContext, host: str) -> None:
        """Goes on under TLS."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(self._transport, self, context, server_hostname=host)
        self._transport = cast("asyncio.Transport", secured)

    def write(self, data: bytes) -> None:
        """Queues bytes; they vanish when the connection is over, which the sink is told."""
        if self._transport is not None and not self._closed:
            self._transport.write(data)

    def close(self) -> None:
        """Ends the connection without telling the sink."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when connected."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the connection is over."""
        reason = self._problem or (repr(exc) if exc else "the server closed the connection")
        lost = StreamUnavailableError(f"connection lost: {reason}")
        if "authorization" in reason.lower():
            refused = SettingsError("NATS refuses the credentials in nats.url (IOT_NATS__URL)")
            self._fail(refused)
        self._fail(lost)
        if not self._closed:
            self._closed = True
            self._sink.on_lost(reason)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: delivers every whole frame."""
        try:
            frames = self._parser.feed(data)
        except FrameError as error:
            self._problem = str(error)
            assert self._transport is not None
            self._transport.abort()
            return
        if len(frames.messages) and not self._closed:
            self._sink.on_messages(frames.messages)
        if frames.pings:
            self.write(b"PONG\r\n" * frames.pings)
        if frames.pongs and not self._pong.done():
            self._pong.set_result(None)
        if frames.lines or frames.statuses:
            self._rare(frames)

    def _rare(self, frames: Frames) -> None:
        for line in frames.lines:
            if line.startswith(b"-ERR"):
                self._problem = line.decode("utf-8", "replace")
            elif not self._info.done():
                self._info.set_result(json.loads(line[5:]))
        for headers in frames.statuses:
            if not self._closed:
                self._sink.on_status(headers)

    def _fail(self, error: Exception) -> None:
        for waiter in (self._info, self._pong):
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()


def _login(settings: NatsSettings) -> Login:
    first = settings.url.get_secret_value().split(",")[0].strip()
    parts = urlsplit(first if "://" in first else f"nats://{first}")
    token = settings.token.get_secret_value() if settings.token else ""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and parts.password is None:
        return Login(token=user)
    return Login(user=user, password=password, token=token)
