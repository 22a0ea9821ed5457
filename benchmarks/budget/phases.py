"""The phases of the benchmark: the load alone, and with each kind of maintenance beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from benchmarks.budget.archive import Archive, outside
from benchmarks.budget.load import LANE, Recorder, Stretch
from devstack.process import BEHIND_HOT_PATH, yield_cpu
from pipelines.compaction import Compaction, Compactor
from pipelines.guard import Guard, open_guard
from pipelines.trino_client import MAINTENANCE, Trino

Figures = dict[str, Any]


@dataclass(frozen=True)
class Phase:
    """One phase: the hot path alone right before, while the work was under way, and what it did.

    ``alone`` is None for the phase that is nothing but the load.
    """

    name: str
    alone: Stretch | None
    beside: Stretch
    work: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What the phases share.

    ``rest_s`` is the time alone before each work; a work that the budget stops is not begun again
    after ``patience_s``.
    """

    archive: Archive
    recorder: Recorder
    trino: Trino
    rest_s: float
    patience_s: float

    def alone(self, seconds: float) -> Phase:
        """The load and nothing else."""
        return Phase("alone", None, self._watch(lambda: time.sleep(seconds)))

    def compaction(self, name: str, day: datetime, *, guarded: bool) -> Phase:
        """The day's small files merged, run again until nothing is owed or time is up."""
        archive = self.archive
        own = archive.pipeline_settings
        guard = open_guard(archive.settings, own.budget, [LANE]) if guarded else None
        scan_before_s = archive.scan_s(self.trino, day)
        work: Figures = {}
        alone = self._watch(lambda: time.sleep(self.rest_s))
        beside = self._watch(lambda: work.update(self._compact(day, guard)))
        work |= {"scan_before_s": scan_before_s, "scan_after_s": archive.scan_s(self.trino, day)}
        return Phase(name, alone, beside, work)

    def reconciliation(self, name: str) -> Phase:
        """What is new of the archive proven."""
        work: Figures = {}
        alone = self._watch(lambda: time.sleep(self.rest_s))
        beside = self._watch(
            lambda: work.update(reconciled(self.archive, self.patience_s, guarded=True))
        )
        return Phase(name, alone, beside, work)

    def _compact(self, day: datetime, guard: Guard | None) -> Figures:
        archive = self.archive
        compactor = Compactor(
            archive.contract,
            archive.sink,
            Trino(self.trino.settings, MAINTENANCE),
            guard,
            archive.pipeline_settings.maintenance.model_copy(
                update={"give_up_after_s": self.patience_s}
            ),
        )
        partition = f"{day:%Y-%m-%d}"
        started = time.monotonic()
        runs = [compactor.run([partition])]
        while runs[-1].stopped and time.monotonic() - started < self.patience_s:
            runs.append(compactor.run([partition]))
        return {"seconds": round(time.monotonic() - started, 1), **_summary(runs, partition)}

    def _watch(self, work: Callable[[], object]) -> Stretch:
        mark = self.recorder.mark()
        work()
        return self.recorder.since(mark)


def reconciled(archive: Archive, patience_s: float, *, guarded: bool) -> Figures:
    """Figures of one reconciliation, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.budget.reconciliation", f"{patience_s:g}"]
    process = subprocess.Popen(
        [*command, *(["guarded"] if guarded else [])],
        cwd=archive.folder,
        env={**outside(), **archive.env},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if guarded:  # as Dagster's processes under `make dev`
        yield_cpu(process.pid, BEHIND_HOT_PATH)
    told = process.communicate()[0]
    assert process.returncode == 0, f"the reconciliation ended with {process.returncode}"
    found: Figures = json.loads(told.splitlines()[-1])
    return found


def _summary(runs: list[Compaction], partition: str) -> Figures:
    done = [one for run in runs for one in run.done]
    first, last = runs[0].before, runs[-1].after or runs[-1].before
    costs = [one.cost for one in done if one.cost is not None]
    return {
        "files_before": _files(first, partition),
        "files_after": _files(last, partition),
        "rows": sum(one.unit.rows for one in done),
        "units": len(done),
        "stops": sum(1 for run in runs if run.stopped),
        "reasons": [run.stopped for run in runs if run.stopped],
        "broken_units": sum(1 for cost in costs if cost.broken),
        "conflicts": sum(run.conflicts for run in runs),
        "statements_s": round(sum(one.statement.elapsed_s for one in done), 1),
        "trino_cpu_s": round(sum(one.statement.cpu_s for one in done), 1),
        "waited_s": round(sum(cost.waited_s for cost in costs), 1),
    }


def _files(files: Any, partition: str) -> int:
    return sum(len(one.data) for one in files.partitions() if one.label == partition)
