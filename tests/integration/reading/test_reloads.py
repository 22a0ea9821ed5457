"""A server that reloads its configuration, again and again, while clients come and stay."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.supervisor import Devstack
from ingest.errors import StreamUnavailableError
from ingest.nats_link import connect
from ingest.settings import NatsSettings

CONNECTIONS = 600
BETWEEN_S = 0.01


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Devstack]:
    """A NATS server of the test's own."""
    with Devstack(tmp_path / "nats", services=("nats",), ephemeral_ports=True) as running:
        yield running


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
    await staying.wait_connected()
    assert (await staying.api("INFO"))["limits"]
    await staying.close()
