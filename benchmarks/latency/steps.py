"""The steps of the load: as fast as it goes, then at shares of that."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.budget.load import LANE, fleet
from benchmarks.latency.ages import Latency, Look, Readings, visible_s
from benchmarks.latency.watching import Watch
from ingest.clickhouse_client import connect as clickhouse
from ingest.nats_link import connect
from ingest.settings import Settings
from ingest.stream_info import stream_state

SETTLE_S = 5.0
# A device's clock is right here: the time of a reading is the moment at which it was due.
EXACT_CLOCKS = ("--skew", "0", "--jitter", "0")


@dataclass(frozen=True)
class Step:
    """One load: the share of the maximum, messages/s wanted, and what came of it.

    ``latency`` from the due time to being visible, ``sending`` its part until JetStream had the
    message. ``batch_rows``: median of the writer's inserts. ``cores``: CPU seconds a second by
    process.
    """

    share: float
    rate: float
    seconds: float
    latency: Latency
    sending: Latency
    batch_rows: float
    cores: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Stage:
    """What all steps share: settings, the folder of the logs, the watch, processes by name."""

    folder: Path
    env: dict[str, str]
    settings: Settings
    table: str
    watch: Watch
    processes: dict[str, int]

    def maximum(self, seconds: float) -> float:
        """Messages a second that become visible while sensors send as fast as they are answered."""
        with fleet(self.folder, self.env, 0):
            self.watch.until(self.watch.rows + 1)
            time.sleep(SETTLE_S)
            began = time.time()
            time.sleep(seconds)
            ended = time.time()
        self._drained()
        return visible_rate(self.watch.looks, began, ended)

    def step(self, share: float, maximum: float, seconds: float) -> Step:
        """An open loop of ``share`` of the maximum for so long, measured to its last reading."""
        before, log_before = self.watch.rows, self._batches()
        rate = round(share * maximum)
        with fleet(self.folder, self.env, rate, EXACT_CLOCKS) as sensors:
            self.watch.until(before + 1)
            processes = {"sensors": sensors, **self.processes}
            mark, used = time.monotonic(), cpu_s(processes)
            time.sleep(seconds)
            lasted = time.monotonic() - mark
            cores = {name: (now - used[name]) / lasted for name, now in cpu_s(processes).items()}
        self._drained()
        readings = self._readings(before)
        due_s = readings.due_s
        visible = visible_s(readings.sequences, self.watch.looks)
        batches = self._batches()[len(log_before) :]
        return Step(
            share=share,
            rate=rate,
            seconds=seconds,
            latency=Latency.of(visible - due_s),
            sending=Latency.of(readings.stored_us / 1e6 - due_s),
            batch_rows=statistics.median(one["rows"] for one in batches),
            cores=cores,
        )

    def _drained(self) -> None:
        """Waits until all that is in the stream is visible."""
        self.watch.until(asyncio.run(self._last_sequence()))

    async def _last_sequence(self) -> int:
        link = await connect(self.settings.nats, "bench")
        try:
            return (await stream_state(link, LANE)).last_seq
        finally:
            await link.close()

    def _readings(self, after: int) -> Readings:
        client = clickhouse(self.settings.clickhouse)
        try:
            found = client.query_arrow(
                "SELECT toInt64(_seq) AS seq, toUnixTimestamp64Micro(ts) AS ts,"
                f" toUnixTimestamp64Micro(_stored_at) AS stored FROM {self.table}"
                f" WHERE _seq > {after} ORDER BY _seq"
            )
        finally:
            client.close()
        columns = {name: found.column(name).to_numpy() for name in ("seq", "ts", "stored")}
        expected = np.arange(after + 1, after + 1 + len(columns["seq"]))
        assert np.array_equal(columns["seq"], expected), "a sequence is missing or doubled"
        return Readings(columns["seq"], columns["ts"], columns["stored"])

    def _batches(self) -> list[dict[str, Any]]:
        """The writer's records of its inserts so far."""
        text = (self.folder / "hot.log").read_text(encoding="utf-8")
        records = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [one for one in records if one.get("event") == "batch"]


def cpu_s(processes: dict[str, int]) -> dict[str, float]:
    """CPU seconds that each process has used."""
    return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in processes.items()}


def visible_rate(looks: list[Look], began: float, ended: float) -> float:
    """Rows a second between the first and the last change within a stretch of time."""
    inside = [look for look in looks if began <= look.at_s <= ended]
    if len(inside) < 2:
        raise ValueError(
            f"the table changed {len(inside)} times in {ended - began:.0f} s, not twice or more"
        )
    return (inside[-1].rows - inside[0].rows) / (inside[-1].at_s - inside[0].at_s)
