"""A platform with a backlog, and the time that a writer or a bare reader takes to drain it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import psutil
from nats.js.api import AckPolicy, ConsumerConfig

from devstack.supervisor import Devstack
from ingest.provision import init
from ingest.settings import Settings, load_settings
from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import Origin
from simulator.publisher import PublishOptions, publish

ROOT = Path(__file__).parent.parent
STREAM = "READINGS"
_ORIGIN = Origin(run_id="bench", contract="readings", subject_prefix="readings", source="benchmark")


@dataclass(frozen=True)
class Drain:
    """One drained backlog: messages, wall seconds, and what the process used of the machine."""

    messages: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a message of the draining process."""
        return self.cpu_seconds / self.messages * 1e6


class Backlog:
    """A running platform whose stream holds ``messages`` JSON readings of about 150 bytes."""

    def __init__(self, stack: Devstack, folder: Path, messages: int) -> None:
        self._folder = folder
        self.messages = messages
        self.env = {**stack.env, "IOT_STREAM__DUPLICATE_WINDOW_S": "0.1"}

    def settings(self, **overrides: str) -> Settings:
        """Settings of the platform."""
        dotted = {k.removeprefix("IOT_").lower(): v for k, v in self.env.items()}
        return load_settings(self._folder, **{**dotted, **overrides})

    def fill(self, *, message_ids: bool = False) -> float:
        """Publishes the backlog; returns acknowledged messages a second."""
        settings = self.settings()
        asyncio.run(init(settings))
        started = time.monotonic()
        fleet = Fleet(FleetOptions(start_us=time.time_ns() // 1000, count=self.messages))
        options = PublishOptions(nats=settings.nats, message_ids=message_ids)
        manifest = asyncio.run(publish(fleet, options, _ORIGIN))
        assert manifest.complete
        return manifest.messages / (time.monotonic() - started)

    def drain(self, path: str, **env: str) -> Drain:
        """Runs `ingest run <path>` from the first message to the last, everything on."""
        self._forget(path)
        log = self._folder / f"{path}.log"
        whole = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        whole |= {**self.env, "PYTHONPATH": str(ROOT), "IOT_HTTP__HOT_PORT": "0"}
        whole |= {"IOT_HTTP__LAKE_PORT": "0", "IOT_LAKE__SPOOL_DIR": str(self._folder / "spool")}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "ingest", "run", path],
                cwd=self._folder,
                env={**whole, **env},
                stderr=output,
            )
        usage = psutil.Process(process.pid)
        started = _wait_for(log, "writing")
        cpu, peak = usage.cpu_times(), 0.0
        before = cpu.user + cpu.system
        done = 0
        event = "batch" if path == "hot" else "commit"
        with log.open(encoding="utf-8") as lines:
            while done < self.messages:
                for line in lines:
                    fields = json.loads(line)
                    if fields.get("event") == event:
                        done = int(fields["range"].split("-")[-1])
                peak = max(peak, usage.memory_info().rss / 1e6)
                assert process.poll() is None, log.read_text(encoding="utf-8")[-2000:]
                time.sleep(0.01)
        seconds = time.time() - started
        cpu = usage.cpu_times()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        return Drain(self.messages, seconds, cpu.user + cpu.system - before, peak)

    def fetch(self, batch: int = 500) -> Drain:
        """nats-py's plain `fetch` loop on uvloop: reads, acknowledges, does nothing else."""
        code = (
            "import sys; from benchmarks.backlog import fetch_all;"
            " fetch_all(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))"
        )
        url = self.env["IOT_NATS__URL"]
        out = subprocess.run(
            [sys.executable, "-c", code, url, str(self.messages), str(batch)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        figures = json.loads(out.stdout)
        return Drain(self.messages, figures["seconds"], figures["cpu"], figures["rss"])

    def _forget(self, path: str) -> None:
        """Empties the sink and its record, so that the next drain starts at the first message."""
        asyncio.run(_forget(self.settings(), path))


def fetch_all(url: str, messages: int, batch: int) -> None:
    """Runs the fetch loop in this process and prints its figures as JSON."""
    import uvloop

    async def loop() -> dict[str, float]:
        client = await nats.connect(url)
        js = client.jetstream()
        config = ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=-1, durable_name="fetch")
        await js.add_consumer(STREAM, config)
        reader = await js.pull_subscribe_bind("fetch", stream=STREAM)
        started, used, seen = time.monotonic(), time.process_time(), 0
        while seen < messages:
            got = await reader.fetch(batch, timeout=5)
            seen += len(got)
            await got[-1].ack()
        seconds = time.monotonic() - started
        figures = {"seconds": seconds, "cpu": time.process_time() - used}
        await js.delete_consumer(STREAM, "fetch")
        await client.close()
        return {**figures, "rss": psutil.Process().memory_info().rss / 1e6}

    print(json.dumps(uvloop.run(loop())))


@contextmanager
def backlog(folder: Path, messages: int) -> Iterator[Backlog]:
    """A platform of its own in ``folder``, stopped at the end."""
    with Devstack(folder / "devstack", ephemeral_ports=True) as stack:
        yield Backlog(stack, folder, messages)


async def _forget(settings: Settings, path: str) -> None:
    from ingest.clickhouse_client import connect as clickhouse
    from ingest.kept import open_bucket
    from ingest.nats_link import connect
    from ingest.sinks.iceberg import IcebergSink

    link = await connect(settings.nats, "bench")
    try:
        bucket = await open_bucket(link)
        await bucket.delete(f"{path}.{STREAM}")
    finally:
        await link.close()
    if path == "hot":
        client = clickhouse(settings.clickhouse, database="default")
        client.command("DROP TABLE IF EXISTS iot.readings SYNC")
        client.close()
    else:
        from ingest.contract import load_contract

        sink = IcebergSink(settings, load_contract("readings"), STREAM)
        sink.load()
        assert sink._catalog is not None  # noqa: SLF001
        sink._catalog.drop_table(sink.table_name)  # noqa: SLF001
    await init(settings)


def _wait_for(log: Path, event: str) -> float:
    """Moment (Unix time) at which the log says ``event``."""
    from datetime import datetime

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in log.read_text(encoding="utf-8").splitlines():
            fields: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            if fields.get("event") == event:
                return datetime.fromisoformat(fields["timestamp"]).timestamp()
        time.sleep(0.01)
    raise TimeoutError(f"{log}: {log.read_text(encoding='utf-8')[-2000:]}")
