"""One writer as a process: connections, lease, metrics endpoint, signals, and the way out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog

if TYPE_CHECKING:
    from ingest.hot import HotWriter
    from ingest.lake import LakeWriter

from ingest.errors import IngestError, StreamUnavailableError
from ingest.kept import LEASE_BUCKET, Bucket, open_bucket
from ingest.lag import watch_lag
from ingest.lane import Lane
from ingest.lanes import lane_contract
from ingest.lease import Lease
from ingest.metrics import Metrics
from ingest.nats_link import connect
from ingest.probes import Probes
from ingest.pull_credit import PullCredit
from ingest.reader import LaneReader
from ingest.registry import RegistryStore
from ingest.settings import Settings
from ingest.stopping import Stopping
from ingest.stream import PullReader, open_inbox
from ingest.stream_check import require_suitable
from ingest.tracing import traces

log = structlog.get_logger(__name__)

Path = Literal["hot", "lake"]
EXIT_INTERRUPTED = 130
READ_AHEAD_BATCHES = 3


@dataclass
class Service:
    """One lane's writer with all that it needs; a path's clients are imported with the path."""

    lane: Lane
    bucket: Bucket
    lease: Lease
    writer: str

    def hot(self) -> HotWriter:
        """The hot writer."""
        from ingest.hot import HotWriter
        from ingest.hot_entry import EntryStore
        from ingest.sinks.clickhouse import ClickHouseSink

        settings = self.lane.settings
        sink = ClickHouseSink(
            settings.clickhouse,
            self.lane.contract,
            self.lane.name,
            settings.hot.insert_deadline_s,
        )
        entries = EntryStore(self.bucket, self.lane.name, self.writer)
        return HotWriter(self.lane, entries, sink, self._reader_of(settings.hot.batch_max_rows))

    def lake(self) -> LakeWriter:
        """The lake writer."""
        from ingest.fence import Fence
        from ingest.lake import LakeWriter
        from ingest.sinks.iceberg import IcebergSink

        settings = self.lane.settings
        sink = IcebergSink(settings, self.lane.contract, self.lane.name)
        fence = Fence(self.bucket, f"lake.{self.lane.name}", self.writer)
        make_reader = self._reader_of(settings.lake.decode_max_rows)
        return LakeWriter(self.lane, fence, sink, make_reader, self.writer)

    def _reader_of(self, batch_messages: int) -> Callable[[], LaneReader]:
        lane, writer = self.lane, self.lane.settings.writer

        def make() -> LaneReader:
            return PullReader(
                lane.link,
                lane.name,
                lane.path,
                inbox=open_inbox(lane.link, lane.settings),
                heartbeat_s=writer.heartbeat_s,
                credit=PullCredit(READ_AHEAD_BATCHES * batch_messages, writer.buffer_max_bytes),
                on_loss=lane.on_loss,
                metrics=lane.metrics.reader(),
            )

        return make


async def run(settings: Settings, path: Path, *, accept_loss: bool = False) -> int:
    """Runs the writer until it has drained; returns the process's exit code."""
    stopping = Stopping(settings.writer.drain_grace_s)
    _on_signals(stopping, path)
    try:
        async with _service(settings, path, stopping, accept_loss=accept_loss) as service:
            await _write(service)
    except IngestError as error:
        if stopping.soon.is_set() and isinstance(error, StreamUnavailableError):
            log.info("stopped_before_nats_answered", path=path)
            return 0
        log.error(  # noqa: TRY400 - the sentence says all, a traceback would hide it
            "stopped", path=path, problem=str(error), exit_code=error.exit_code
        )
        return error.exit_code
    log.info("drained", path=path)
    return 0


async def _write(service: Service) -> None:
    """Waits for the lease, then writes; whatever ends first ends the writer."""
    lane = service.lane
    active = lane.metrics.gauge("ingest_active")
    active.set(0)
    async with service.lease.held(lane.stopping.soon) as held:
        if not held:
            return
        active.set(1)
        writer = service.hot() if lane.path == "hot" else service.lake()
        log.info("writing", lane=lane.name, path=lane.path, writer=service.writer)
        lag = asyncio.create_task(watch_lag(lane))
        try:
            await _first_of(writer.run(), lag)
        finally:
            active.set(0)
            lag.cancel()


async def _first_of(writing: Awaitable[None], watching: asyncio.Task[None]) -> None:
    """Runs the writer; an alarm of the watcher ends it."""
    task = asyncio.ensure_future(writing)
    done, _ = await asyncio.wait({task, watching}, return_when=asyncio.FIRST_COMPLETED)
    while not task.done():
        # More than once: an answer that comes at the moment of a cancellation swallows it.
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
    for ended in done:
        ended.result()


@contextlib.asynccontextmanager
async def _service(
    settings: Settings, path: Path, stopping: Stopping, *, accept_loss: bool
) -> AsyncIterator[Service]:
    contract = lane_contract(settings)
    metrics = Metrics(contract.stream, path)
    writer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    dropped = metrics.event("ingest_trace_spans_dropped")
    async with traces(settings.trace, contract.stream, path, writer, dropped) as begin_trace:
        problem: list[str] = ["starting"]
        port = settings.http.hot_port if path == "hot" else settings.http.lake_port
        probes = Probes(
            settings.http.host,
            port,
            metrics.registry,
            healthy=lambda: None,
            ready=lambda: problem[0] if problem else None,
        )
        log.info("listening", path=path, address=probes.address)
        link = await connect(settings.nats, f"ingest-{path}-{writer}", give_up=stopping.soon)
        try:
            bucket = await open_bucket(link)
            await require_suitable(link, contract.stream)
            lane = Lane(
                link=link,
                store=RegistryStore(link, bucket, contract.stream),
                contract=contract,
                settings=settings,
                metrics=metrics,
                path=path,
                stopping=stopping,
                accept_loss=accept_loss,
                begin_trace=begin_trace,
            )
            lease = Lease(
                await open_bucket(link, LEASE_BUCKET),
                path,
                contract.stream,
                writer,
                settings.writer.lease_ttl_s,
            )
            problem.clear()
            try:
                yield Service(lane, bucket, lease, writer)
            finally:
                lane.close()
        finally:
            await link.close()
            probes.close()


def _on_signals(stopping: Stopping, path: Path) -> None:
    """SIGTERM and the first SIGINT drain; a second SIGINT ends at once, which is as safe."""
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if stopping.soon.is_set():
            os._exit(EXIT_INTERRUPTED)
        log.info("draining", path=path, hint="interrupt again to stop at once")
        stopping.ask()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stopping.ask)


def run_in_process(settings: Settings, path: Path, *, accept_loss: bool) -> int:
    """Runs the writer on an event loop of its own, uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(run(settings, path, accept_loss=accept_loss))
    return int(uvloop.run(run(settings, path, accept_loss=accept_loss)))
