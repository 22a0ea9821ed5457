"""The hot path under load alone, beside compaction with and without guard, and beside the proof."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.budget.archive import Archive, day_before, make_archive, settings_of
from benchmarks.budget.load import fleet, hot_writer, recorder
from benchmarks.budget.phases import Bench, Phase, reconciled
from benchmarks.budget.tables import write
from benchmarks.report import commit
from devstack.process import yield_cpu
from devstack.supervisor import Devstack
from ingest.provision import init
from pipelines.trino_client import Trino

SHARE = 0.6
DAY_ROWS, FILE_ROWS = 2_000_000, 1_000
WARM_ROWS = 50_000
UNPROVEN_ROWS = 2_000_000
REST_PATIENCE_S = 1_200.0


@dataclass(frozen=True)
class Chosen:
    """The command line: minutes of a phase, rows of a day."""

    minutes: float
    day_rows: int

    def told(self) -> dict[str, object]:
        """For the tables: length of a phase, and the command that was given."""
        arguments = f"--minutes {self.minutes:g}"
        if self.day_rows != DAY_ROWS:
            arguments += f" --day-rows {self.day_rows}"
        return {"minutes": self.minutes, "command": f"make bench NAME=budget ARGS='{arguments}'"}


def main() -> None:
    """Runs the benchmark and writes its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--day-rows", type=int, default=DAY_ROWS)
    parsed = parser.parse_args()
    chosen = Chosen(parsed.minutes, parsed.day_rows)
    # So that an ended benchmark ends its processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = {"date": datetime.now(UTC), "commit": commit()}
    services = ("nats", "seaweedfs", "clickhouse", "trino")
    with (
        tempfile.TemporaryDirectory() as folder,
        Devstack(Path(folder) / "devstack", services, ephemeral_ports=True) as stack,
    ):
        for facts, phases in _measure(Path(folder), stack, chosen):
            tables = write({**facts, **chosen.told(), **began}, phases)
    print(tables)


def _measure(
    folder: Path, stack: Devstack, chosen: Chosen
) -> Iterator[tuple[dict[str, float], list[Phase]]]:
    """Maximum and load, and the phases so far, after each of them."""
    port = _free_port()
    env = {**stack.env, "IOT_STREAM__DUPLICATE_WINDOW_S": "0.1"}
    asyncio.run(init(settings_of(folder, env)))
    archive = make_archive(folder, stack.env, port)
    days = [day_before(datetime.now(UTC), back) for back in (2, 3, 4, 5)]
    _prepare(archive, days, chosen)
    trino = Trino(archive.pipeline_settings.trino)
    with hot_writer(folder, env, port) as hot:
        phases: list[Phase] = []
        maximum = _maximum(folder, env, port, stack, hot, chosen)
        rate = SHARE * maximum
        with (
            fleet(folder, env, rate) as sensors,
            recorder(folder, env, port, stack, {"hot": hot, "sensors": sensors}) as seen,
        ):
            seconds = chosen.minutes * 60
            bench = Bench(
                archive, seen, trino, rest_s=max(seconds / 2, 30), patience_s=max(3 * seconds, 1200)
            )
            for phase in _phases(bench, stack, days, chosen):
                _say(f"{phase.name}: {phase.beside} {phase.work}")
                phases.append(phase)
                yield {"maximum": maximum, "rate": rate, "share": SHARE}, phases


def _phases(bench: Bench, stack: Devstack, days: list[datetime], chosen: Chosen) -> Iterator[Phase]:
    warm, equal, bare, watched = days
    bench.compaction("warm-up", warm, guarded=False)
    yield bench.alone(chosen.minutes * 60)
    yield bench.compaction("compaction, equal CPU", equal, guarded=False)
    yield_cpu(stack.pid("trino"))
    yield bench.compaction("compaction, yields CPU", bare, guarded=False)
    yield bench.compaction("compaction, yields CPU, guarded", watched, guarded=True)
    yield bench.reconciliation("reconciliation, guarded")


def _prepare(archive: Archive, days: list[datetime], chosen: Chosen) -> None:
    """A small day to warm up on and three more in files of a thousand rows; more to prove."""
    started = time.monotonic()
    for day, rows in zip(days, (WARM_ROWS, *[chosen.day_rows] * 3), strict=True):
        archive.publish(rows, day, seed=day.day)
        archive.drain(
            "lake", IOT_LAKE__FILE_MAX_ROWS=str(FILE_ROWS), IOT_LAKE__COMMIT_MAX_ROWS="100000"
        )
    archive.drain("hot")
    reconciled(archive, REST_PATIENCE_S, guarded=False)
    archive.publish(UNPROVEN_ROWS, day_before(days[-1], 1), seed=1)
    archive.drain("lake", "hot")
    _say(f"prepared in {time.monotonic() - started:.0f} s")


def _maximum(
    folder: Path, env: dict[str, str], port: int, stack: Devstack, hot: int, chosen: Chosen
) -> float:
    """Messages a second that sensors, stream and hot path carry together as fast as they go."""
    with fleet(folder, env, 0), recorder(folder, env, port, stack, {"hot": hot}) as seen:
        time.sleep(10)
        mark = seen.mark()
        time.sleep(max(chosen.minutes * 10, 20.0))
        found = seen.since(mark)
    _say(f"maximum: {found}")
    time.sleep(5)
    return found.messages_per_s


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    main()
