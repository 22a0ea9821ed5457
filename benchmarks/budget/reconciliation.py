"""One reconciliation in a process of its own, so that its memory is its own; prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.budget.load import LANE
from ingest.settings import load_settings
from pipelines.cancel import Cancel
from pipelines.cost import Cost, Guarded, figures
from pipelines.errors import BudgetBroken, BudgetNotMet
from pipelines.guard import open_guard
from pipelines.reconcile import Extent, Reconciled, Runs, reconcile
from pipelines.settings import gently, load_pipeline_settings
from pipelines.trino_client import MAINTENANCE, Trino


def main() -> None:
    """Reconciles what is new of the lane that the environment names, resumed after each stop.

    Arguments: the time (s) after which a run that the budget stops is not begun again, and
    ``guarded`` for one inside the budget of the lane under load.
    """
    folder, patience_s, guarded = Path.cwd(), float(sys.argv[1]), "guarded" in sys.argv
    own = load_pipeline_settings(folder)
    settings = gently(load_settings(folder), own.maintenance)
    guard: Runs = open_guard(settings, own.budget, [LANE]) if guarded else AtOnce()
    trino = Trino(own.trino, MAINTENANCE)
    started = time.monotonic()
    runs: list[Reconciled] = []
    stops = 0
    extent = Extent(own.quality.unit_sequences, give_up_after_s=patience_s)
    while (not runs or runs[-1].left) and time.monotonic() - started < patience_s:
        try:
            runs.append(reconcile(settings, trino, guard, extent))
            stops += bool(runs[-1].stopped)
        except (BudgetBroken, BudgetNotMet):
            stops += 1
    told = {
        "seconds": round(time.monotonic() - started, 1),
        "working_s": round(sum(cost.seconds for run in runs for cost in run.costs), 1),
        "units": sum(run.units for run in runs),
        "stops": stops,
        "messages": sum(run.messages for run in runs),
        "rows": sum(run.report.reference.rows for run in runs),
        "left": runs[-1].left if runs else None,
        "equal": bool(runs) and all(run.report.proven for run in runs),
        "scanned_rows": _scanned(runs, "rows"),
        "scanned_bytes": _scanned(runs, "bytes"),
        "cpu_s": round(time.process_time(), 1),
        "trino_cpu_s": round(sum(run.trino_cpu_s for run in runs), 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(told))


class AtOnce:
    """No guard: every unit runs at once."""

    def run(
        self, work: str, unit: Callable[[Cancel], Any], *, give_up_after_s: float | None = None
    ) -> Guarded[Any]:
        """Runs the unit."""
        del give_up_after_s
        started = time.monotonic()
        result = unit(Cancel())
        seconds, nothing = time.monotonic() - started, figures([])
        cost = Cost(
            work=work, seconds=seconds, waited_s=0, before=nothing, during=nothing, after=nothing
        )
        return Guarded(result, cost)


def _scanned(runs: list[Reconciled], what: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for run in runs:
        for side, scanned in run.report.scanned.items():
            total[side] += getattr(scanned, what)
    return dict(total)


if __name__ == "__main__":
    main()
