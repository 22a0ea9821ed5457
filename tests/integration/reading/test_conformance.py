"""Both readers on a real stream: order, holes, loss, interruptions, message sizes."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ingest.errors import DataLostError
from ingest.messages import Messages
from ingest.metrics import Metrics
from ingest.nats_link import NatsLink, connect
from ingest.pull_credit import PullCredit
from ingest.ranges import SequenceRange
from ingest.reader import ReaderInterruptedError, ReadLimit
from ingest.settings import Settings, load_settings
from ingest.stream import PullReader, open_inbox
from tests.support.platforms import Platform, StartPlatform

LIMIT = ReadLimit(10_000, 64 << 20, 0.05)


@dataclass
class Bench:
    """A stream with a reader on it."""

    stack: Platform
    link: NatsLink
    settings: Settings
    lane: str
    lost: list[SequenceRange] = field(default_factory=list)

    def reader(self, credit: PullCredit | None = None, *, tolerant: bool = True) -> PullReader:
        """A reader that notes losses, or stops at them."""

        async def on_loss(lost: SequenceRange) -> None:
            self.lost.append(lost)
            if not tolerant:
                raise DataLostError(str(lost))

        return PullReader(
            self.link,
            self.lane,
            "hot",
            inbox=open_inbox(self.link, self.settings),
            heartbeat_s=0.5,
            credit=credit or PullCredit(20_000, 32 << 20),
            on_loss=on_loss,
            metrics=Metrics(self.lane, "hot").reader(),
        )

    async def publish(self, payloads: list[bytes], **headers: str) -> None:
        """Publishes with acknowledgement."""
        for start in range(0, len(payloads), 500):
            chunk = payloads[start : start + 500]
            acks = [
                await self.link.js.publish_async(f"{self.lane}.a", one, headers=headers or None)
                for one in chunk
            ]
            await asyncio.gather(*acks)


@pytest.fixture(scope="module")
def nats_stack(
    start_platform: StartPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """NATS alone."""
    with start_platform(tmp_path_factory.mktemp("nats"), services=("nats",)) as stack:
        yield stack


@pytest.fixture(params=["wire", "client"])
async def bench(
    request: pytest.FixtureRequest, nats_stack: Platform, tmp_path: Path
) -> AsyncIterator[Bench]:
    """A fresh stream, read by each of the readers."""
    dotted = {k.removeprefix("IOT_").lower(): v for k, v in nats_stack.env.items()}
    settings = load_settings(tmp_path, **dotted, writer__reader=request.param)
    async with _stream(nats_stack, settings) as ready:
        yield ready


@asynccontextmanager
async def _stream(stack: Platform, settings: Settings) -> AsyncIterator[Bench]:
    link = await connect(settings.nats, "conformance")
    try:
        lane = f"lane{secrets.token_hex(4)}"
        await link.js.add_stream(name=lane, subjects=[f"{lane}.>"])
        yield Bench(stack, link, settings, lane)
    finally:
        await link.close()


async def read(reader: PullReader, count: int) -> list[Messages]:
    """Runs of messages until ``count`` came."""
    runs: list[Messages] = []
    async with asyncio.timeout(20):
        while sum(map(len, runs)) < count:
            run = await reader.read(LIMIT, 0.2)
            if run is not None:
                runs.append(run)
    return runs


def joined(runs: list[Messages], what: str) -> list[Any]:
    """One column of all runs."""
    return [one for run in runs for one in list(getattr(run, what))]


async def test_messages_come_once_in_order_with_subject_and_time(bench: Bench) -> None:
    """A backlog and what follows it arrive in stream order."""
    await bench.publish([b"%d" % n for n in range(3_000)])
    reader = bench.reader()
    await reader.open(1)
    runs = await read(reader, 3_000)
    await bench.publish([b"%d" % n for n in range(3_000, 3_100)])
    runs += await read(reader, 100)

    assert joined(runs, "payloads") == [b"%d" % n for n in range(3_100)]
    assert joined(runs, "sequences") == list(range(1, 3_101))
    assert set(joined(runs, "subjects")) == {f"{bench.lane}.a"}
    times = joined(runs, "stored_at_ns")
    assert times == sorted(times)
    await reader.close()


async def test_reading_starts_at_the_position_asked_for(bench: Bench) -> None:
    """Opening again elsewhere drops what was buffered."""
    await bench.publish([b"%d" % n for n in range(100)])
    reader = bench.reader()
    for position in (50, 1, 101):
        await reader.open(position)
        if position <= 100:
            runs = await read(reader, 101 - position)
            assert joined(runs, "sequences") == list(range(position, 101))
    assert await reader.read(LIMIT, 0.2) is None
    await reader.close()


async def test_headers_are_no_part_of_the_payload(bench: Bench) -> None:
    """Messages with headers arrive like those without."""
    await bench.publish([b"plain"])
    await bench.publish([b"headed"], **{"X-Name": "value", "Y": "z"})
    reader = bench.reader()
    await reader.open(1)
    assert joined(await read(reader, 2), "payloads") == [b"plain", b"headed"]
    await reader.close()


async def test_a_subject_that_is_no_text_harms_nobody(bench: Bench) -> None:
    """A server takes any bytes as a subject; the message and its neighbours arrive all the same."""
    await bench.publish([b"before"])
    await publish_raw(bench.settings, bench.lane.encode() + b".\xff\xc3", b"odd")
    await bench.publish([b"after"])
    reader = bench.reader()
    await reader.open(1)
    if bench.settings.writer.reader == "client":
        # nats-py 2.16 takes every subject for UTF-8 and hands over none of what follows.
        with pytest.raises(ReaderInterruptedError):
            await read(reader, 3)
        await reader.close()
        return
    runs = await read(reader, 3)
    assert joined(runs, "payloads") == [b"before", b"odd", b"after"]
    assert joined(runs, "subjects")[1] == f"{bench.lane}.\ufffd\ufffd"
    await reader.close()


async def publish_raw(settings: Settings, subject: bytes, payload: bytes) -> None:
    """One message by the bare protocol; returns when the server has taken it."""
    url = urlsplit(settings.nats.url.get_secret_value())
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    login = {"user": url.username, "pass": url.password, "verbose": False}
    head = b"PUB %b %d\r\n" % (subject, len(payload))
    writer.write(b"CONNECT %b\r\n%b%b\r\nPING\r\n" % (json.dumps(login).encode(), head, payload))
    async with asyncio.timeout(10):
        await reader.readuntil(b"PONG\r\n")
    writer.close()
    await writer.wait_closed()


async def test_sizes_from_nothing_to_the_servers_limit(bench: Bench) -> None:
    """Empty and largest payloads arrive whole, also when one is larger than a pull asks for."""
    most = bench.link.client.max_payload
    payloads = [b"", b"x" * most, b"\r\n", b"y" * (most - 1), b"MSG a 1 b 2\r\n"]
    await bench.publish(payloads)
    reader = bench.reader(PullCredit(1_000, 1 << 16))
    await reader.open(1)
    assert joined(await read(reader, len(payloads)), "payloads") == payloads
    await reader.close()


async def test_deleted_messages_are_holes_and_no_loss(bench: Bench) -> None:
    """A deleted message is covered by the range of the next one."""
    await bench.publish([b"%d" % n for n in range(10)])
    for sequence in (3, 4, 7):
        await bench.link.js.delete_msg(bench.lane, sequence)
    reader = bench.reader()
    await reader.open(1)
    runs = await read(reader, 7)
    assert joined(runs, "sequences") == [1, 2, 5, 6, 8, 9, 10]
    assert sum(run.holes for run in runs) == 3
    assert bench.lost == []
    await reader.close()


async def test_removed_unread_messages_are_loss(bench: Bench) -> None:
    """A stream that begins after the position names the range that is gone."""
    await bench.publish([b"%d" % n for n in range(10)])
    await bench.link.js.purge_stream(bench.lane, keep=4)
    with pytest.raises(DataLostError, match="2-6"):
        await bench.reader(tolerant=False).open(2)


async def test_a_deleted_consumer_interrupts(bench: Bench) -> None:
    """Another writer that removes the consumer ends the reading; opening again goes on."""
    await bench.publish([b"%d" % n for n in range(5)])
    reader = bench.reader()
    await reader.open(1)
    await read(reader, 5)
    await bench.reader().delete_predecessors()
    with pytest.raises(ReaderInterruptedError):
        await read(reader, 1)
    await reader.open(reader.position)
    await bench.publish([b"5"])
    assert joined(await read(reader, 1), "sequences") == [6]
    await reader.close()


async def test_a_silent_server_interrupts(bench: Bench) -> None:
    """A paused server is noticed by its missing heartbeats; afterwards reading goes on."""
    reader = bench.reader()
    await reader.open(1)
    bench.stack.signal("nats", signal.SIGSTOP)
    try:
        with pytest.raises(ReaderInterruptedError):
            await read(reader, 1)
    finally:
        bench.stack.signal("nats", signal.SIGCONT)
    await bench.link.wait_connected()
    await bench.publish([b"later"])
    await reader.open(1)
    assert joined(await read(reader, 1), "payloads") == [b"later"]
    await reader.close()


async def test_a_killed_server_interrupts(bench: Bench) -> None:
    """A server that dies and comes back loses the consumer, not the position."""
    await bench.publish([b"0", b"1"])
    reader = bench.reader()
    await reader.open(1)
    await read(reader, 2)
    bench.stack.kill("nats")
    with pytest.raises(ReaderInterruptedError):
        await read(reader, 1)
    bench.stack.start_service("nats")
    await bench.link.wait_connected()
    await bench.publish([b"2"])
    await reader.open(reader.position)
    assert joined(await read(reader, 1), "payloads") == [b"2"]
    await reader.close()


async def test_a_full_buffer_stops_pulling_and_nothing_is_lost(bench: Bench) -> None:
    """The buffer never holds more than the credit; reading on gets the rest."""
    await bench.publish([b"x" * 1_000] * 2_000)
    reader = bench.reader(PullCredit(400, 1 << 20))
    await reader.open(1)
    runs: list[Messages] = []
    while sum(map(len, runs)) < 2_000:
        run = await reader.read(ReadLimit(100, 1 << 20, 0.05), 1.0)
        assert run is not None
        runs.append(run)
        assert reader.buffered_bytes <= 400 * 1_000
    assert joined(runs, "sequences") == list(range(1, 2_001))
    await reader.close()


async def test_many_messages_wait_no_longer_than_a_few(bench: Bench) -> None:
    """With many waiting the shorter wait holds, with few the longer one."""
    limit = ReadLimit(10_000, 64 << 20, 3_600.0, many=200, many_age_s=0.01)
    await bench.publish([b"many"] * 300)
    reader = bench.reader()
    await reader.open(1)
    async with asyncio.timeout(20):
        count = 0
        while count < 200:
            run = await reader.read(limit, 0.2)
            count += len(run) if run is not None else 0
    if count < 300:
        await read(reader, 300 - count)
    await bench.publish([b"few"] * 10)
    waiting = asyncio.create_task(reader.read(limit, 20.0))
    done, _ = await asyncio.wait({waiting}, timeout=1)
    assert not done
    reader.drain()
    few = await waiting
    assert few is not None
    assert len(few) == 10
    await reader.close()


async def test_draining_returns_what_came_and_then_nothing(bench: Bench) -> None:
    """After drain no new message is asked for."""
    await bench.publish([b"%d" % n for n in range(50)])
    reader = bench.reader()
    await reader.open(1)
    first = await read(reader, 50)
    reader.drain()
    assert await reader.read(LIMIT, 0.1) is None
    assert len(joined(first, "sequences")) == 50
    await reader.close()
