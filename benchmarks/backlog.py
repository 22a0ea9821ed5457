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
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks.idle import Others
from benchmarks.usage import Usage
from devstack.supervisor import Devstack
from ingest.provision import init
from ingest.settings import Settings, load_settings
from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import Origin
from simulator.publisher import PublishOptions, publish

ROOT = Path(__file__).parent.parent
CONTRACT = "readings"
STREAM = CONTRACT.upper()


@dataclass(frozen=True)
class Drain:
    """One drained backlog: messages, wall seconds, and what the process used of the machine.

    ``others_cores``: cores that processes beside the benchmark used meanwhile.
    """

    messages: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    others_cores: float = 0.0

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a message of the draining process."""
        return self.cpu_seconds / self.messages * 1e6


class Backlog:
    """A stream of a running platform that holds ``messages`` JSON readings of about 150 bytes.

    ``contract`` names its stream, subjects and table: another one than ``readings`` has the same
    columns and stands beside it.
    """

    def __init__(
        self, stack: Devstack, folder: Path, messages: int, contract: str = CONTRACT
    ) -> None:
        self._folder = folder
        self.stack = stack
        self.messages = messages
        self.contract = contract
        self.stream = contract.upper()
        self.subjects = f"{contract}.>"
        self.env = {**stack.env, "IOT_STREAM__DUPLICATE_WINDOW_S": "0.1"}
        if contract != CONTRACT:
            self.env["IOT_CONTRACT"] = str(_copy_of_contract(folder, contract))

    def another(self, contract: str) -> Backlog:
        """A second backlog on the same platform."""
        return Backlog(self.stack, self._folder, self.messages, contract)

    def settings(self, **overrides: str) -> Settings:
        """Settings of the platform."""
        dotted = {k.removeprefix("IOT_").lower(): v for k, v in self.env.items()}
        return load_settings(self._folder, **{**dotted, **overrides})

    def fill(self, *, message_ids: bool = False) -> float:
        """Publishes the backlog; returns acknowledged messages a second."""
        settings = self.settings()
        asyncio.run(init(settings))
        started = time.monotonic()
        fleet = Fleet(
            FleetOptions(
                start_us=time.time_ns() // 1000, count=self.messages, subject_prefix=self.contract
            )
        )
        options = PublishOptions(nats=settings.nats, message_ids=message_ids)
        origin = Origin("bench", self.contract, self.contract, "benchmark")
        manifest = asyncio.run(publish(fleet, options, origin))
        assert manifest.complete
        return manifest.messages / (time.monotonic() - started)

    def drain(self, path: str, **env: str) -> Drain:
        """Runs `ingest run <path>` from the first message to the last, everything on."""
        self._forget(path)
        log = self._folder / f"{path}.log"
        process = self._start(path, log, env)
        try:
            usage = Usage(process.pid)
            started = _wait_for(log, "writing")
            before, others = usage.cpu_s(), Others()
            self._follow(log, "batch" if path == "hot" else "commit", process)
            seconds = time.time() - started
            used = usage.cpu_s() - before
            drained = Drain(self.messages, seconds, used, usage.peak_rss_mb(), others.cores())
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
        return drained

    def fetch(self, batch: int = 500) -> Drain:
        """nats-py's plain `fetch` loop on uvloop: reads, acknowledges, does nothing else."""
        others = Others()
        program = [sys.executable, "-m", "benchmarks.fetch", str(self.messages), str(batch)]
        where = {"NATS_URL": self.env["IOT_NATS__URL"], "STREAM": self.stream}
        out = subprocess.run(
            program,
            cwd=ROOT,
            env={**os.environ, **where},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        figures = json.loads(out.stdout)
        return Drain(
            figures["read"], figures["seconds"], figures["cpu"], figures["rss"], others.cores()
        )

    def _start(self, path: str, log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
        whole = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        whole |= {**self.env, "PYTHONPATH": str(ROOT), "IOT_HTTP__HOT_PORT": "0"}
        whole |= {"IOT_HTTP__LAKE_PORT": "0", "IOT_LAKE__SPOOL_DIR": str(self._folder / "spool")}
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "ingest", "run", path],
                cwd=self._folder,
                env={**whole, **env},
                stderr=output,
            )

    def _follow(self, log: Path, event: str, process: subprocess.Popen[bytes]) -> None:
        """Returns when the log says that the last message is stored."""
        done = 0
        with log.open(encoding="utf-8") as lines:
            while done < self.messages:
                for line in lines:
                    if not line.strip():
                        continue  # the end of a line that was read before it was whole
                    fields = json.loads(line)
                    if fields.get("event") == event:
                        done = int(fields["range"].split("-")[-1])
                assert process.poll() is None, log.read_text(encoding="utf-8")[-2000:]
                time.sleep(0.01)

    def _forget(self, path: str) -> None:
        """Empties the sink and its record, so that the next drain starts at the first message."""
        asyncio.run(_forget(self.settings(), path))


@contextmanager
def backlog(folder: Path, messages: int) -> Iterator[Backlog]:
    """A platform of its own in ``folder``, stopped at the end."""
    with Devstack(folder / "devstack", ephemeral_ports=True) as stack:
        yield Backlog(stack, folder, messages)


def _copy_of_contract(folder: Path, name: str) -> Path:
    """The packaged contract under another name, with a stream and subjects of its own."""
    packaged = resources.files("ingest").joinpath("contracts", f"{CONTRACT}.toml")
    text = packaged.read_text(encoding="utf-8")
    for found, wanted in (
        (f'name = "{CONTRACT}"', f'name = "{name}"'),
        (f'stream = "{CONTRACT.upper()}"', f'stream = "{name.upper()}"'),
        (f'subjects = ["{CONTRACT}.>"]', f'subjects = ["{name}.>"]'),
    ):
        assert text.count(found) == 1, f"{CONTRACT}.toml lacks the line {found}"
        text = text.replace(found, wanted)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


async def _forget(settings: Settings, path: str) -> None:
    from ingest.clickhouse_client import connect as clickhouse
    from ingest.contract import load_contract
    from ingest.kept import open_bucket
    from ingest.nats_link import connect
    from ingest.sinks.iceberg import IcebergSink

    contract = load_contract(settings.contract)
    link = await connect(settings.nats, "bench")
    try:
        bucket = await open_bucket(link)
        await bucket.delete(f"{path}.{contract.stream}")
    finally:
        await link.close()
    if path == "hot":
        client = clickhouse(settings.clickhouse, database="default")
        client.command(f"DROP TABLE IF EXISTS {contract.namespace}.{contract.table} SYNC")
        client.close()
    else:
        sink = IcebergSink(settings, contract, contract.stream)
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
