"""Samples of the writers: from their /metrics, else from what NATS keeps of the hot path.

Metrics tell the most: ages of readings and insert times besides the lag. Without them the kept
entry still tells a dead hot path (its lag grows) from an idle one. What neither tells is unknown,
and the sample says why.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.errors import IngestError
from ingest.lanes import each_lane
from ingest.settings import HttpSettings, NatsSettings, Settings
from pipelines.ages import merged
from pipelines.budget import PathSample, Sample
from pipelines.cpu import BusyCpu
from pipelines.kept_state import kept_state
from pipelines.settings import BudgetSettings
from pipelines.writer_metrics import PageError, WriterPage, active, fetch, parse

EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - what a writer may listen on, not we

Key = tuple[str, str]
"""path, lane"""


@dataclass(frozen=True)
class _Look:
    """One lane's part of a sample, and how old it is in seconds."""

    sample: PathSample
    age_s: float


class HotSampler:
    """Samples the hot and lake writers of ``lanes``; for one thread at a time."""

    def __init__(self, settings: Settings, budget: BudgetSettings, lanes: Sequence[str]) -> None:
        self._nats: NatsSettings = settings.nats
        self._timeout_s = budget.sample_timeout_s
        self._lanes = list(lanes)
        https = [one.http for one in each_lane(settings)]
        self.hot_urls = _urls(budget.hot_metrics_urls, [(one, one.hot_port) for one in https])
        self._lake_urls = _urls(budget.lake_metrics_urls, [(one, one.lake_port) for one in https])
        self._before: dict[Key, WriterPage] = {}
        self._cpu = BusyCpu()

    def sample(self) -> Sample:
        """One sample of all lanes."""
        now = time.monotonic()
        busy = self._cpu.look()
        pages, problem = self._pages(self.hot_urls, "hot")
        try:
            looks = [self._hot(pages, lane) for lane in self._lanes]
        except IngestError as error:
            known = f"{problem}; {error}" if problem else str(error)
            return Sample(at_s=now, hot=None, busy=busy, problem=known)
        return Sample(
            at_s=now,
            hot=_together([look.sample for look in looks]),
            age_s=max(look.age_s for look in looks),
            lake=self._lake(),
            busy=busy,
            problem=problem,
        )

    def _hot(self, pages: list[dict[str, WriterPage]], lane: str) -> _Look:
        """The lane's hot path. Raises IngestError when NATS cannot tell either."""
        page = active(pages, lane)
        if page is None:
            self._before.pop(("hot", lane), None)
            return _Look(kept_state(self._nats, lane, self._timeout_s), 0.0)
        return self._look(page, ("hot", lane))

    def _lake(self) -> PathSample | None:
        """The lake writers that answer; one that is not there cannot be disturbed."""
        pages, _ = self._pages(self._lake_urls, "lake")
        found = [(lane, active(pages, lane)) for lane in self._lanes]
        looks = [self._look(page, ("lake", lane)).sample for lane, page in found if page]
        return _together(looks) if looks else None

    def _look(self, page: WriterPage, key: Key) -> _Look:
        before = self._before.get(key)
        self._before[key] = page
        age_s = max(time.time() - page.measured_at, 0.0)
        return _Look(_delta(before, page), age_s)

    def _pages(self, urls: Iterable[str], path: str) -> tuple[list[dict[str, WriterPage]], str]:
        """Pages that answered, and why the last of the others did not."""
        pages: list[dict[str, WriterPage]] = []
        problem = ""
        for url in urls:
            try:
                pages.append(parse(fetch(url, self._timeout_s), path))
            except PageError as error:
                problem = str(error)
        return pages, problem


def _delta(before: WriterPage | None, page: WriterPage) -> PathSample:
    """The page as a sample; rates, ages and insert time are those since ``before``."""
    ages, seconds, arrived, stored, insert_s = page.ages, 0.0, 0.0, 0.0, None
    if before is not None:
        then = before.ages
        ages = ages.since(then) if ages and then else None
        seconds = page.measured_at - before.measured_at
        arrived = page.last_seq - before.last_seq
        stored = arrived - (page.lag_messages - before.lag_messages)
        inserts = page.inserts - before.inserts
        insert_s = (page.inserts_s - before.inserts_s) / inserts if inserts > 0 else None
    else:
        ages = None
    known = seconds > 0 and arrived >= 0 and stored >= 0
    return PathSample(
        lag_messages=int(page.lag_messages),
        lag_s=page.lag_s,
        stored_per_s=stored / seconds if known else None,
        arrived_per_s=arrived / seconds if known else None,
        ages=ages,
        insert_s=insert_s,
        headroom_s=page.headroom_s,
    )


def _together(samples: list[PathSample]) -> PathSample:
    """Several lanes as one: the worst of lag and headroom, the sum of the rest."""
    if len(samples) == 1:
        return samples[0]
    inserts = [one.insert_s for one in samples if one.insert_s is not None]
    return PathSample(
        lag_messages=max(one.lag_messages for one in samples),
        lag_s=max(one.lag_s for one in samples),
        stored_per_s=_sum(one.stored_per_s for one in samples),
        arrived_per_s=_sum(one.arrived_per_s for one in samples),
        ages=merged(one.ages for one in samples if one.ages),
        insert_s=max(inserts, default=None),
        headroom_s=min((one.headroom_s for one in samples), default=math.inf),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _urls(setting: str, writers: Iterable[tuple[HttpSettings, int]]) -> list[str]:
    """The addresses of a setting; without one the writers on this machine with a fixed port."""
    named = [url.strip() for url in setting.split(",") if url.strip()]
    if named:
        return named
    return [
        f"http://{'127.0.0.1' if http.host in EVERY_ADDRESS else http.host}:{port}/metrics"
        for http, port in writers
        if port
    ]
