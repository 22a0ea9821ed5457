"""One NATS connection that survives restarts, and that tells when it was interrupted."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from nats.aio.client import Client
from nats.errors import ConnectionClosedError, Error, NoServersError, OutboundBufferLimitError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from ingest.errors import ConnectionEndedError, SettingsError, StreamUnavailableError
from ingest.settings import NatsSettings
from ingest.stopping import Stopping

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

REFUSALS = 5
REFUSAL_PAUSE_S = 0.3
UNAVAILABLE = (
    TimeoutError,
    OSError,
    ConnectionClosedError,
    NoServersError,
    OutboundBufferLimitError,
    ServiceUnavailableError,
)


class NatsLink:
    """A connection with its JetStream context.

    ``interruptions`` counts how often the connection was lost; whoever keeps the value from
    before can tell that something may have happened in between.
    """

    def __init__(self, client: Client, request_timeout_s: float) -> None:
        self.client = client
        self.js: JetStreamContext = client.jetstream(timeout=request_timeout_s)
        self.request_timeout_s = request_timeout_s
        self.interruptions = 0
        self.stopping: Stopping | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection is up now."""
        return bool(self.client.is_connected)

    def note_interruption(self) -> None:
        """Counts one loss of the connection."""
        self.interruptions += 1

    async def api(self, subject: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer of a JetStream API request (``STREAM.INFO.READINGS``).

        Raises StreamUnavailableError without an answer, ``nats.js.errors.APIError`` on refusal.
        """
        payload = json.dumps(request).encode() if request is not None else b""

        async def ask() -> dict[str, Any]:
            reply = await self.client.request(
                f"$JS.API.{subject}", payload, timeout=self.request_timeout_s
            )
            answer: dict[str, Any] = json.loads(reply.data)
            if "error" in answer:
                APIError.from_error(answer["error"])
            return answer

        return await self.available(ask)

    async def available(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Result of ``ask()``; every way of not being answered is StreamUnavailableError."""
        try:
            return await ask()
        except (NotFoundError, SettingsError):
            raise
        except UNAVAILABLE as error:
            raise StreamUnavailableError(f"NATS does not answer: {error!r}") from error
        except Error as error:
            # Every other answer of the API is one. `code` is not asked: nats-py's key-value
            # errors have none.
            if isinstance(error, APIError) and not isinstance(error, ServerError):
                raise
            told = getattr(error, "description", None) or repr(error)
            raise StreamUnavailableError(f"NATS refuses for now: {told}") from error

    async def wait_connected(self) -> None:
        """Returns once the connection is up; nats-py reconnects without end.

        Raises ConnectionEndedError when it gave up because the server refused the credentials, for
        good or for the moment of a reload, DrainTimeoutError when the process was asked to stop and
        its grace is over.
        """
        while not self.connected:
            if self.stopping is not None:
                self.stopping.require_time("this process")
            if self.client.is_closed:
                raise ConnectionEndedError(
                    f"NATS closed the connection: {self.client.last_error!r}; when the credentials"
                    " are still right, start again"
                )
            await asyncio.sleep(0.05)

    async def pause(self, seconds: float) -> None:
        """Waits for the connection and then ``seconds``, before something is tried again.

        Raises as ``wait_connected``; a server that is connected and silent is not waited for
        beyond the grace either.
        """
        await self.wait_connected()
        if self.stopping is not None:
            self.stopping.require_time("this process")
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Closes the connection; harmless when it is closed already."""
        if not self.client.is_closed:
            await self.client.close()


async def connect(
    settings: NatsSettings,
    name: str,
    *,
    patient: bool = True,
    give_up: asyncio.Event | None = None,
) -> NatsLink:
    """Connects to NATS and keeps the connection alive.

    ``patient`` waits for a server that is not there yet, until ``give_up`` is set; else
    StreamUnavailableError.
    Raises SettingsError when the server refuses the credentials.
    """
    while True:
        try:
            return await unless_refused_again(lambda: _connect_once(settings, name))
        except StreamUnavailableError as error:
            if not patient or (give_up is not None and give_up.is_set()):
                raise
            log.warning("nats_waiting", problem=str(error))
            await asyncio.sleep(0.5)


async def unless_refused_again(connect_once: Callable[[], Awaitable[Answer]]) -> Answer:
    """Result of a connection attempt; credentials that are refused are tried a few times more.

    A server that reloads its configuration can refuse everyone for a moment (seen in 2.15.1). For
    good, that would stop a writer which a person then has to start again.
    """
    for _ in range(REFUSALS - 1):
        try:
            return await connect_once()
        except SettingsError as error:
            log.debug("nats_refused", problem=str(error))
            await asyncio.sleep(REFUSAL_PAUSE_S)
    return await connect_once()


async def _connect_once(settings: NatsSettings, name: str) -> NatsLink:
    client = Client()
    link = NatsLink(client, settings.request_timeout_s)

    async def on_disconnect() -> None:
        link.note_interruption()

    async def on_error(error: Exception) -> None:
        log.debug("nats", problem=repr(error))

    options: dict[str, Any] = {
        "servers": settings.url.get_secret_value().split(","),
        "name": name,
        "connect_timeout": settings.connect_timeout_s,
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": 0.2,
        "ping_interval": 5,
        "max_outstanding_pings": 2,
        "pending_size": 32 << 20,
        "disconnected_cb": on_disconnect,
        "error_cb": on_error,
    }
    if settings.creds_file:
        options["user_credentials"] = str(settings.creds_file)
    if settings.token:
        options["token"] = settings.token.get_secret_value()
    if settings.tls_ca_file:
        options["tls"] = ssl.create_default_context(cafile=str(settings.tls_ca_file))
    try:
        await client.connect(**options)
    except (*UNAVAILABLE, Error) as error:
        cause = client.last_error or error
        # nats-py leaves the socket of a refused connection open.
        await client.close()
        if "authorization" in f"{error} {cause}".lower():
            raise SettingsError(
                "NATS refuses the credentials in nats.url (IOT_NATS__URL)"
            ) from error
        raise StreamUnavailableError(f"NATS does not answer: {cause!r}") from error
    # Set only now: with them from the start, nats-py would retry a first connection by itself,
    # without end, and hide why it fails.
    client.options["allow_reconnect"] = True
    client.options["max_reconnect_attempts"] = -1
    return link
