"""A server that reloads its configuration, again and again, while clients come and stay."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.supervisor import Devstack
from ingest.errors import ConnectionEndedError, StreamUnavailableError
from ingest.nats_link import connect
from ingest.settings import NatsSettings
from ingest.supervisor import STAYS_STOPPED

CONNECTIONS = 600
BETWEEN_S = 0.01


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Devstack]:
    """A NATS server of the test's own."""
    with Devstack(tmp_path / "nats", services=("nats",), ephemeral_ports=True) as running:
        yield running


# nats-py leaves transports of connections open that it gave up in their handshake.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_reload_refuses_nobody_for_good(server: Devstack) -> None:
    """Credentials that are right are taken, though the server refuses some at that moment."""
    settings = NatsSettings(url=server.env["IOT_NATS__URL"])
    pid, over = server.pid("nats"), asyncio.Event()

    async def reload() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGHUP)
            await asyncio.sleep(BETWEEN_S)

    staying = await connect(settings, "staying")
    reloading = asyncio.create_task(reload())
    for _ in range(CONNECTIONS):
        # A connection that is cut while it is made is no refusal; a writer makes another one.
        with contextlib.suppress(StreamUnavailableError):
            link = await connect(settings, "coming", patient=False)
            await link.close()
    over.set()
    await reloading
    ended: ConnectionEndedError | None = None
    try:
        await staying.wait_connected()
        assert (await staying.api("INFO"))["limits"]
    except ConnectionEndedError as error:
        ended = error
    # nats-py gives up at a refusal right after it has connected; a supervisor begins again.
    assert ended is None or ended.exit_code not in STAYS_STOPPED
    await staying.close()
    gc.collect()
