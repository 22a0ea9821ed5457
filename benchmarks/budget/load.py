"""The lane under load: a sensor fleet, the hot writer, and what is measured of them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.budget.archive import outside, settings_of
from devstack.supervisor import Devstack
from pipelines.budget import Sample
from pipelines.cost import figures
from pipelines.hot_samples import HotSampler
from pipelines.settings import BudgetSettings

LANE = "READINGS"
EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The hot path over ``seconds``.

    Latencies are of every reading: from JetStream's timestamp to the acknowledged insert, after
    which ClickHouse shows it. ``cpu_s`` is CPU time by service.
    """

    seconds: float
    messages_per_s: float
    p50_s: float | None
    p99_s: float | None
    lag_max_s: float | None
    cpu_s: dict[str, float]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class Recorder:
    """Looks at the hot writer every second in a thread of its own."""

    def __init__(self, sampler: HotSampler, processes: dict[str, int]) -> None:
        self._sampler = sampler
        self._processes = {name: psutil.Process(pid) for name, pid in processes.items()}
        self._samples: list[Sample] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()

    def mark(self) -> tuple[float, dict[str, float]]:
        """Now, and the CPU that every service has used."""
        return time.monotonic(), {
            name: sum(one.cpu_times()[:2]) for name, one in self._processes.items()
        }

    def since(self, mark: tuple[float, dict[str, float]]) -> Stretch:
        """The stretch from the mark to now."""
        return self.between(mark, self.mark())

    def between(
        self, start: tuple[float, dict[str, float]], end: tuple[float, dict[str, float]]
    ) -> Stretch:
        """The stretch between two marks."""
        inside = [one for one in list(self._samples) if start[0] < one.at_s <= end[0]]
        found = figures(inside)
        return Stretch(
            seconds=end[0] - start[0],
            messages_per_s=found.messages_per_s or 0.0,
            p50_s=found.p50_s,
            p99_s=found.p99_s,
            lag_max_s=found.lag_max_s,
            cpu_s={name: used - start[1][name] for name, used in end[1].items()},
        )

    def close(self) -> None:
        """Stops looking."""
        self._over.set()
        self._thread.join()

    def _record(self) -> None:
        while not self._over.wait(EVERY_S):
            self._samples.append(self._sampler.sample())


@contextmanager
def hot_writer(folder: Path, env: dict[str, str], port: int) -> Iterator[int]:
    """`ingest run hot` on the lane; yields its process id."""
    with (folder / "hot.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ingest", "run", "hot"],
            cwd=folder,
            env={**outside(), **env, "IOT_HTTP__HOT_PORT": str(port)},
            stderr=log,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def fleet(
    folder: Path, env: dict[str, str], rate: float, options: Sequence[str] = ()
) -> Iterator[int]:
    """sensor-sim at ``rate`` messages/s (0: as fast as it goes); yields its process id.

    On return every message that it sent is acknowledged. ``options`` are more of its own.
    """
    command = [sys.executable, "-m", "simulator", "run", "--rate", str(rate), "--no-msg-id"]
    with (folder / "fleet.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--duration", "86400", "--quiet", *options],
            cwd=folder,
            env={**outside(), **env},
            stdout=log,
            stderr=log,
        )
    try:
        yield process.pid
        assert process.poll() is None, "sensor-sim ended, see fleet.log"
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0, f"sensor-sim ended with {code}, see fleet.log"


@contextmanager
def recorder(
    folder: Path, env: dict[str, str], port: int, stack: Devstack, processes: dict[str, int]
) -> Iterator[Recorder]:
    """A recorder of the lane's writer and of all services."""
    url = f"http://127.0.0.1:{port}/metrics"
    sampler = HotSampler(
        settings_of(folder, env),
        BudgetSettings(hot_metrics_urls=url, lake_metrics_urls=url),
        [LANE],
    )
    services = {name: stack.pid(name) for name in ("nats", "clickhouse", "seaweedfs", "trino")}
    recording = Recorder(sampler, {**services, **processes})
    try:
        yield recording
    finally:
        recording.close()
