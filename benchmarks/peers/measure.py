"""Runs a peer over the whole stream and measures it, by the server's own account.

The time counts from the first message that the server has delivered until it holds the last one
for delivered and acknowledged, and the peer, if it counts, has counted it. A figure of anything
but the whole stream, each message once, is refused.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from benchmarks.backlog import Backlog, Drain
from benchmarks.idle import Others
from benchmarks.peers.cases import CONSUMER, Peer
from benchmarks.usage import Usage

LOOK_S = 0.02
STOP_S = 20.0


class FigureRefusedError(Exception):
    """A peer did not read the whole stream once; the text says what it did."""


@dataclass(frozen=True)
class Account:
    """What the server holds a peer to have had of a stream that starts at sequence 1."""

    delivered: int
    deliveries: int
    acknowledged: int
    outstanding: int

    @classmethod
    def of(cls, info: ConsumerInfo | None) -> Account:
        """The account in a consumer's state; there may be no consumer yet."""
        if info is None or info.delivered is None or info.ack_floor is None:
            return cls(0, 0, 0, 0)
        outstanding = (info.num_pending or 0) + (info.num_ack_pending or 0)
        delivered = info.delivered
        return cls(
            delivered.stream_seq, delivered.consumer_seq, info.ack_floor.stream_seq, outstanding
        )

    def complete(self, messages: int, *, acknowledges: bool) -> bool:
        """Whether all messages were delivered, and acknowledged by a peer that does so."""
        done = min(self.delivered, self.acknowledged) if acknowledges else self.delivered
        return done >= messages and self.outstanding == 0

    def check(self, messages: int, said: int | None) -> None:
        """Raises FigureRefusedError unless each of the messages was delivered once."""
        if self.delivered != messages or self.deliveries != messages:
            raise FigureRefusedError(
                f"the server made {self.deliveries:,} deliveries up to message"
                f" {self.delivered:,}, expected {messages:,} of each once"
            )
        if said is not None and said != messages:
            raise FigureRefusedError(f"it has read {said:,} messages, expected {messages:,}")


def measured(stream: Backlog, peer: Peer, program: Path, home: Path, patience_s: float) -> Drain:
    """The peer's figures for the whole stream.

    ``program`` is the peer's folder, ``home`` one for its output. Raises FigureRefusedError.
    """
    return asyncio.run(_measured(stream, peer, program, home, patience_s))


async def _measured(
    stream: Backlog, peer: Peer, program: Path, home: Path, patience_s: float
) -> Drain:
    log = home / "output.log"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "NATS_URL": stream.env["IOT_NATS__URL"],
        "STREAM": stream.stream,
        "SUBJECTS": stream.subjects,
        "CONSUMER": CONSUMER,
        "MESSAGES": str(stream.messages),
    }
    command = peer.command(program, stream.stream, stream.messages)
    async with _jetstream(stream, peer) as js:
        with _running(command, env, log) as process:
            watch = _Watch(js, stream, peer, process, log)
            return await watch.until_drained(time.monotonic() + patience_s)


class _Watch:
    """Looks at the consumer, the process and its output until the stream is drained."""

    def __init__(
        self,
        js: JetStreamContext,
        stream: Backlog,
        peer: Peer,
        process: subprocess.Popen[bytes],
        log: Path,
    ) -> None:
        self._js = js
        self._stream = stream
        self._peer = peer
        self._process = process
        self._log = log
        self._usage = Usage(process.pid)

    async def until_drained(self, deadline: float) -> Drain:
        """Waits for the first delivery and for the end; returns the figures between them."""
        while not (await self._account()).delivered:
            await self._pause(deadline)
        started, before, others = time.monotonic(), self._usage.cpu_s(), Others()
        messages = self._stream.messages
        while True:
            account, said = await self._account(), self._said()
            if account.complete(messages, acknowledges=self._peer.acknowledges) and (
                self._peer.said is None or (said or 0) >= messages
            ):
                break
            await self._pause(deadline)
        seconds, cpu_s = time.monotonic() - started, self._usage.cpu_s() - before
        account.check(messages, said)
        return Drain(messages, seconds, cpu_s, self._usage.peak_rss_mb(), others.cores())

    async def _account(self) -> Account:
        try:
            return Account.of(await self._js.consumer_info(self._stream.stream, CONSUMER))
        except NotFoundError:
            return Account.of(None)

    def _said(self) -> int | None:
        if self._peer.said is None:
            return None
        return self._peer.said(self._log.read_text(encoding="utf-8", errors="replace"))

    async def _pause(self, deadline: float) -> None:
        self._usage.look()
        # A peer that stops by itself at its end is looked at once more before it is given up.
        code = _exit_code(self._process)
        finished = code == 0 and (self._said() or 0) >= self._stream.messages
        if time.monotonic() > deadline or (code is not None and not finished):
            said = self._log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
            how = "took too long" if code is None else f"ended with {code}"
            raise FigureRefusedError(f"it {how} before the end of the stream; it said: {said}")
        await asyncio.sleep(LOOK_S)


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    """How a process has ended; it can still be asked for its CPU time afterwards."""
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None if ended is None else ended.si_status


@asynccontextmanager
async def _jetstream(stream: Backlog, peer: Peer) -> AsyncIterator[JetStreamContext]:
    """JetStream with the consumer that the peer reads by, which is gone afterwards."""
    client = await nats.connect(stream.env["IOT_NATS__URL"])
    js = client.jetstream()
    try:
        await _forget_consumer(js, stream.stream)
        if peer.consumer is not None:
            await js.add_consumer(stream.stream, peer.consumer)
        yield js
        await _forget_consumer(js, stream.stream)
    finally:
        await client.close()


async def _forget_consumer(js: JetStreamContext, stream: str) -> None:
    try:
        await js.delete_consumer(stream, CONSUMER)
    except NotFoundError:
        return


@contextmanager
def _running(
    command: list[str], env: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=log.parent, env=env, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
