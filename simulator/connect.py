"""Opens a connection for publishing, and says what is wrong when it cannot."""

from __future__ import annotations

import asyncio
import ssl

from ingest.errors import SettingsError, StreamUnavailableError
from ingest.settings import NatsSettings
from simulator.servers import Server
from simulator.transports import Connection, Refuse, Settle


async def connect(
    server: Server, settings: NatsSettings, settle: Settle, refuse: Refuse
) -> Connection:
    """A connection that is signed in and ready to publish.

    Raises SettingsError when the server refuses the credentials or its certificate is not trusted,
    StreamUnavailableError when it does not answer.
    """
    loop = asyncio.get_running_loop()
    connection = Connection(settle, refuse)
    context = ssl.create_default_context(
        cafile=str(settings.tls_ca_file) if settings.tls_ca_file else None
    )
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            await loop.create_connection(lambda: connection, server.host, server.port)
            await connection.handshake(server, context)
    except ssl.SSLError as error:
        await connection.end()
        raise SettingsError(f"NATS at {server.name}: TLS failed: {error.reason}") from error
    except (OSError, TimeoutError, StreamUnavailableError) as error:
        await connection.end()
        if "authorization" in connection.problem.lower():
            raise SettingsError(
                f"NATS at {server.name} refuses the credentials (--url, IOT_NATS__URL)"
            ) from error
        raise StreamUnavailableError(
            f"NATS at {server.name} does not answer: {connection.problem or error!r}"
        ) from error
    return connection
