"""A second lane on the same platform: days of small files to merge, readings to reconcile.

It has tables of its own, so its preparation leaves the lane under load alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.contract import Contract, load_contract
from ingest.nats_link import connect
from ingest.provision import init
from ingest.settings import Settings, load_settings
from ingest.sinks.iceberg import IcebergSink
from ingest.status_nats import hot_entry
from ingest.stream_info import stream_state
from pipelines.settings import PipelineSettings, load_pipeline_settings
from pipelines.trino_client import Trino, quoted
from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import Origin
from simulator.publisher import PublishOptions, publish

ROOT = Path(__file__).parents[2]
ROWS_PER_MESSAGE = 10
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Archive:
    """The lane; ``env`` are the IOT_* variables of its processes."""

    folder: Path
    env: dict[str, str]

    @property
    def contract(self) -> Contract:
        """Its contract."""
        return load_contract(self.env["IOT_CONTRACT"])

    @property
    def settings(self) -> Settings:
        """Settings of its writers."""
        return settings_of(self.folder, self.env)

    @property
    def pipeline_settings(self) -> PipelineSettings:
        """Settings of its maintenance."""
        own = {k: v for k, v in self.env.items() if _is_maintenance(k)}
        return load_pipeline_settings(self.folder, **_dotted(own))

    @property
    def sink(self) -> IcebergSink:
        """Its lake table."""
        return IcebergSink(self.settings, self.contract, self.contract.stream)

    def publish(self, readings: int, day: datetime, seed: int) -> None:
        """Publishes readings of one day, ten a message."""
        options = FleetOptions(
            # Not at midnight: clocks that run ahead would put some readings into the day before.
            start_us=int((day + timedelta(hours=6)).timestamp() * 1e6),
            count=readings,
            payload="array",
            rows_per_message=ROWS_PER_MESSAGE,
            seed=seed,
            subject_prefix=self.contract.subjects[0].split(".")[0],
        )
        nats = PublishOptions(nats=self.settings.nats, message_ids=False)
        prefix = options.subject_prefix
        origin = Origin(f"bench-{seed}", self.contract.name, prefix, "benchmark")
        assert asyncio.run(publish(Fleet(options), nats, origin)).complete

    def drain(self, *paths: str, **env: str) -> None:
        """Runs the paths' writers until both sinks have all of the stream."""
        for path in paths:
            with (self.folder / f"archive-{path}.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "ingest", "run", path],
                    cwd=self.folder,
                    env={**outside(), **self.env, **env},
                    stderr=log,
                )
            try:
                self._wait(path, process)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)

    def _wait(self, path: str, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        last = asyncio.run(self._positions())[0]
        while self._position(path) < last:
            assert process.poll() is None, f"the {path} writer ended, see archive-{path}.log"
            assert time.monotonic() < deadline, f"{path} has not drained"
            time.sleep(0.5)

    def _position(self, path: str) -> int:
        if path == "hot":
            return asyncio.run(self._positions())[1]
        sink = self.sink
        mark = sink.watermark(sink.load())
        return mark.sequence if mark else 0

    async def _positions(self) -> tuple[int, int]:
        """Last sequence of the stream, and of the hot table."""
        link = await connect(self.settings.nats, "bench")
        try:
            lane = self.contract.stream
            entry = await hot_entry(link, lane)
            return (await stream_state(link, lane)).last_seq, entry.done.sequence if entry else 0
        finally:
            await link.close()

    def scan_s(self, trino: Trino, day: datetime, rounds: int = 3) -> float:
        """Median seconds of a query that reads one day of the table."""
        contract, column = self.contract, quoted(self.contract.time_column)
        sql = (
            f"SELECT metric, count(*), avg(value), max({column})"
            f" FROM {quoted(trino.catalog, contract.namespace, contract.table)}"
            f" WHERE {column} >= ? AND {column} < ? GROUP BY metric"
        )
        times = []
        for _ in range(rounds):
            started = time.monotonic()
            assert trino.query(sql, (day, day + timedelta(days=1)))
            times.append(time.monotonic() - started)
        return statistics.median(times)


def make_archive(folder: Path, stack_env: dict[str, str], hot_port: int) -> Archive:
    """Makes the lane with stream and tables; the budget's writers are those of ``hot_port``."""
    packaged = (ROOT / "ingest/contracts/readings.toml").read_text(encoding="utf-8")
    text = packaged.replace('stream = "READINGS"', 'stream = "ARCHIVE"')
    text = text.replace('subjects = ["readings.>"]', 'subjects = ["archive.>"]')
    file = folder / "archive.toml"
    file.write_text(f'namespace = "iot_archive"\n{text}', encoding="utf-8")
    env = {
        **stack_env,
        "IOT_CONTRACT": str(file),
        "IOT_HTTP__HOT_PORT": "0",
        "IOT_HTTP__LAKE_PORT": "0",
        "IOT_LAKE__SPOOL_DIR": str(folder / "spool"),
        "IOT_LAKE__COMMIT_MAX_AGE_S": "2",
        "IOT_TRINO__QUERY_TIMEOUT_S": "600",
        "IOT_STREAM__MAX_BYTES": str(6 << 30),
        "IOT_BUDGET__HOT_METRICS_URLS": f"http://127.0.0.1:{hot_port}/metrics",
    }
    made = Archive(folder, env)
    asyncio.run(init(made.settings))
    return made


def settings_of(folder: Path, env: dict[str, str]) -> Settings:
    """Settings of ingest from IOT_* variables."""
    return load_settings(
        folder, **_dotted({k: v for k, v in env.items() if not _is_maintenance(k)})
    )


def outside() -> dict[str, str]:
    """The environment of this process without settings of its own."""
    dropped = ("IOT_", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {**kept, "PYTHONPATH": str(ROOT)}


def day_before(today: datetime, days: int) -> datetime:
    """Midnight (UTC) of an earlier day."""
    return (
        (today - timedelta(days=days))
        .astimezone(UTC)
        .replace(hour=0, minute=0, second=0, microsecond=0)
    )


def _dotted(env: dict[str, str]) -> dict[str, str]:
    return {k.removeprefix("IOT_").lower(): v for k, v in env.items() if k.startswith("IOT_")}


def _is_maintenance(name: str) -> bool:
    sections = PipelineSettings.model_fields
    return name.removeprefix("IOT_").lower().partition("__")[0] in sections
