"""The reconciliation of all lanes of a contract, one after the other under one guard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.errors import SettingsError
from ingest.proof.facts import NothingClosedError
from pipelines.errors import BudgetBroken, BudgetNotMet
from pipelines.lanes import Lane
from pipelines.reconcile import Extent, Reconciled, Runs, reconcile
from pipelines.reconcile_findings import Explained, explained
from pipelines.trino_client import Trino


@dataclass(frozen=True)
class ReconciledLane:
    """What a run compared of one lane, and its findings."""

    lane: str
    done: Reconciled
    found: list[Explained]


@dataclass
class ReconciledLanes:
    """Each lane that was compared, and by lane why another one was not."""

    compared: list[ReconciledLane] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)

    @property
    def single(self) -> ReconciledLane | None:
        """The only lane, when there is no other."""
        return self.compared[0] if len(self.compared) == 1 and not self.passed_over else None


def reconcile_lanes(
    lanes: Sequence[Lane], trino: Trino, guard: Runs, extent: Extent
) -> ReconciledLanes:
    """Compares each lane as ``reconcile`` does, and raises as it.

    A lane in which no range is closed yet is no obstacle when others were compared; once the
    budget ends a lane, it and those after it are left for a later run.
    """
    if extent.upto is not None and len(lanes) > 1:
        raise SettingsError(
            f"upto is {extent.upto}, a sequence of one lane, and there are {len(lanes)}; leave it 0"
        )
    result = ReconciledLanes()
    error: Exception | None = None
    for place, one in enumerate(lanes):
        try:
            done = reconcile(one.settings, trino, guard, extent)
        except NothingClosedError as nothing:
            result.passed_over[one.name], error = str(nothing), nothing
            continue
        except (BudgetBroken, BudgetNotMet) as budget:
            if not result.compared:
                raise
            result.passed_over |= {left.name: str(budget) for left in lanes[place:]}
            break
        found = explained(one.settings, trino, done.report.findings)
        result.compared.append(ReconciledLane(one.name, done, found))
        if done.stopped:
            left = lanes[place + 1 :]
            result.passed_over |= {later.name: done.stopped for later in left}
            break
    if error is not None and not result.compared:
        raise error
    return result
