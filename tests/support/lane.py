"""A lane for one test: contract, stream and tables of its own on a running platform."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from ingest.clickhouse_client import connect as connect_clickhouse
from ingest.contract import Contract, load_contract
from ingest.errors import IngestError
from ingest.hot_entry import EntryStore, HotEntry
from ingest.kept import open_bucket
from ingest.nats_link import NatsLink, connect
from ingest.provision import init
from ingest.settings import Settings, load_settings
from ingest.settings_sources import env_name, setting_names
from ingest.sinks.iceberg import IcebergSink
from ingest.stream_info import StreamState, stream_state
from tests.support.platforms import Platform
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
PACKAGED = ROOT / "ingest" / "contracts" / "readings.toml"
TS = "2026-01-01T00:00:00Z"
Result = TypeVar("Result")

# Short times, so that take-over and settling are quick; the protocol does not depend on them.
FAST = {
    "IOT_STREAM__MAX_BYTES": str(256 << 20),
    "IOT_STREAM__DLQ_MAX_BYTES": str(256 << 20),
    "IOT_HOT__BATCH_MAX_AGE_S": "0.1",
    "IOT_HOT__BATCH_MAX_ROWS": "2000",
    "IOT_HOT__INSERT_DEADLINE_S": "2",
    "IOT_LAKE__COMMIT_MAX_AGE_S": "0.5",
    "IOT_LAKE__COMMIT_MAX_ROWS": "5000",
    "IOT_WRITER__LEASE_TTL_S": "1",
    "IOT_WRITER__HEARTBEAT_S": "0.5",
    "IOT_WRITER__BACKOFF_MAX_S": "0.5",
    "IOT_HTTP__HOT_PORT": "0",
    "IOT_HTTP__LAKE_PORT": "0",
}


@dataclass
class Writer:
    """One `ingest run` process and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """Its log lines so far."""
        text = self.log.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Log lines of one event."""
        return [line for line in self.lines() if line.get("event") == event]

    def wait(self, timeout_s: float = 40.0) -> int:
        """Its exit code."""
        return self.process.wait(timeout_s)

    def drain(self) -> int:
        """Asks it to drain once it listens to signals; its exit code."""
        until(lambda: self.said("listening") or self.process.poll() is not None, "a start")
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Kills it if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)


@dataclass
class TestLane:
    """A lane with names of its own. ``stack`` is the running platform."""

    __test__ = False

    stack: Platform
    folder: Path
    tag: str
    source: Path = PACKAGED
    overrides: dict[str, str] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.contract_file = self.folder / f"{self.tag}.toml"
        text = self.source.read_text(encoding="utf-8")
        packaged = load_contract(self.source)
        first = packaged.subjects[0].split(".")[0]
        text = text.replace(f'stream = "{packaged.stream}"', f'stream = "{self.stream}"')
        text = text.replace(f'subjects = ["{first}.', f'subjects = ["{first}_{self.tag}.')
        text = text.replace("[rollup]", "[rollup]", 1)
        self.contract_file.write_text(f'namespace = "iot_{self.tag}"\n{text}', encoding="utf-8")
        self.subject_root = f"{first}_{self.tag}"
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self.writers:
            writer.kill()
        # A server that the test left dead or frozen goes away with its streams.
        with contextlib.suppress(IngestError):
            asyncio.run(self._delete_streams())

    async def _delete_streams(self) -> None:
        """JetStream reserves the size of every stream, and a run makes hundreds of them."""
        link = await connect(self.settings.nats, "test-end", patient=False)
        try:
            for subject in (f"{self.subject_root}.>", f"lanes.{self.stream}.>"):
                answer = await link.api("STREAM.NAMES", {"subject": subject})
                for name in answer.get("streams") or []:
                    await link.api(f"STREAM.DELETE.{name}")
        finally:
            await link.close()

    @property
    def stream(self) -> str:
        """Name of the lane's stream."""
        return f"{load_contract(self.source).stream}_{self.tag}"

    @property
    def contract(self) -> Contract:
        """The lane's contract."""
        return load_contract(self.contract_file)

    @property
    def table(self) -> str:
        """namespace.table in both sinks."""
        return f"{self.contract.namespace}.{self.contract.table}"

    @property
    def env(self) -> dict[str, str]:
        """Environment of the lane's processes."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("IOT_", "INGEST_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # every start would compile everything again
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            **self.stack.env,
            **FAST,
            "IOT_CONTRACT": str(self.contract_file),
            "IOT_S3__BUCKET": f"raw-{self.tag}",
            "IOT_LAKE__SPOOL_DIR": str(self.folder / "spool"),
            **self.overrides,
        }

    @property
    def settings(self) -> Settings:
        """Settings as the lane's processes see them."""
        known = {env_name(name) for name in setting_names(Settings)}
        names = {k: v for k, v in self.env.items() if k in known}
        dotted = {k.removeprefix("IOT_").lower(): v for k, v in names.items()}
        return load_settings(self.folder, **dotted)

    def ingest(
        self, *arguments: str, check: bool = True, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs `ingest ...` to its end in the lane's folder."""
        done = subprocess.run(
            [sys.executable, "-m", "ingest", *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"ingest {arguments}: {done.stdout}\n{done.stderr}"
        return done

    def init(self) -> None:
        """Makes stream, buckets and tables, as `ingest init` does."""
        asyncio.run(init(self.settings))

    def start(self, path: str, *arguments: str, fault: str = "", **env: str) -> Writer:
        """Starts `ingest run <path>`; ``fault`` arms a fault point."""
        log = self.folder / f"{path}-{len(self.writers)}.log"
        faults = {"INGEST_FAULT": fault} if fault else {}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "ingest", "run", path, *arguments],
                cwd=self.folder,
                env={**self.env, **faults, **env},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        writer = Writer(process, log)
        self.writers.append(writer)
        return writer

    def run_async(self, work: Callable[[NatsLink], Awaitable[Result]]) -> Result:
        """Runs ``work`` with a connection of its own."""

        async def connected() -> Result:
            link = await connect(self.settings.nats, "test")
            try:
                return await work(link)
            finally:
                await link.close()

        return asyncio.run(connected())

    def publish(self, payloads: Iterable[bytes], subject: str = "s.d.m") -> None:
        """Publishes payloads, each acknowledged by the stream."""

        async def work(link: NatsLink) -> None:
            futures = []
            for payload in payloads:
                full = f"{self.subject_root}.{subject}"
                futures.append(await link.js.publish_async(full, payload))
                if len(futures) >= 1000:
                    await asyncio.gather(*futures)
                    futures.clear()
            await asyncio.gather(*futures)

        self.run_async(work)

    def readings(self, count: int, start: int = 0) -> list[bytes]:
        """Good readings, each with a value of its own."""
        return [reading(number) for number in range(start, start + count)]

    def state(self) -> StreamState:
        """The stream's state."""
        return self.run_async(lambda link: stream_state(link, self.stream))

    def hot_entry(self) -> HotEntry | None:
        """The hot path's kept entry."""

        async def work(link: NatsLink) -> HotEntry | None:
            return await EntryStore(await open_bucket(link), self.stream, "test").peek()

        return self.run_async(work)

    def clickhouse(self) -> Client:
        """A client of the hot table's server."""
        return connect_clickhouse(self.settings.clickhouse, database="default")

    def hot_rows(self) -> list[tuple[int, int]]:
        """(_seq, _idx) of every row in ClickHouse, in order."""
        client = self.clickhouse()
        try:
            found = client.query(f"SELECT _seq, _idx FROM {self.table} ORDER BY _seq, _idx")
            return [(int(seq), int(idx)) for seq, idx in found.result_rows]
        finally:
            client.close()

    def lake_rows(self) -> list[tuple[int, int]]:
        """(_seq, _idx) of every row in Iceberg, in order."""
        rows = self.lake_table().scan(selected_fields=("_seq", "_idx")).to_arrow()
        return sorted(
            zip(rows.column("_seq").to_pylist(), rows.column("_idx").to_pylist(), strict=True)
        )

    def lake_table(self) -> Any:
        """The Iceberg table."""
        return self.sink().load()

    def sink(self) -> IcebergSink:
        """The lane's Iceberg sink."""
        return IcebergSink(self.settings, self.contract, self.stream)

    def wait_hot(self, sequence: int, timeout_s: float = 30.0) -> None:
        """Waits until the hot path has ``sequence`` done."""
        until(
            lambda: (entry := self.hot_entry()) and entry.done.sequence >= sequence,
            f"hot path at {sequence}",
            timeout_s,
        )

    def wait_lake(self, sequence: int, timeout_s: float = 30.0) -> None:
        """Waits until the lake's watermark has reached ``sequence``."""
        sink = self.sink()
        until(
            lambda: (mark := sink.watermark(sink.load())) and mark.sequence >= sequence,
            f"lake at {sequence}",
            timeout_s,
            every_s=0.2,
        )


def reading(number: int, **changes: Any) -> bytes:
    """A good reading; ``changes`` replace its fields."""
    from datetime import UTC, datetime

    value = {
        "device_id": f"dev-{number % 7}",
        "site": "s",
        "metric": "temperature",
        "ts": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "value": number * 0.5,
        "unit": "Cel",
        **changes,
    }
    return json.dumps(value).encode()


__all__ = ["TestLane", "Writer", "clickhouse_connect", "reading"]
