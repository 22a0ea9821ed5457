"""The reconciliation: stream = ClickHouse = Iceberg (by Trino) + DLQ, in units under the guard.

A unit is a range of sequences small enough to wait and stop between. What a unit proves goes to
the ledger at once, so a run that is stopped or killed is resumed by the next one, and nothing that
was proven is read again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ingest.ledger import LedgerEntry
from ingest.marks import Mark
from ingest.proof.facts import gathered
from ingest.proof.report import Report
from ingest.proof.side import Scanned
from ingest.settings import Settings
from ingest.verify import VerifyOptions, verify
from pipelines.cancel import Cancel
from pipelines.cost import Cost, Guarded
from pipelines.errors import BudgetBroken, BudgetNotMet
from pipelines.trino_client import Trino
from pipelines.trino_side import TrinoSides

Result = TypeVar("Result")


class Runs(Protocol):
    """What the reconciliation asks of the guard; see ``pipelines.guard.Guard.run``."""

    def run(self, work: str, unit: Any, *, give_up_after_s: float | None = None) -> Guarded[Any]:
        """Runs one unit inside the budget."""


@dataclass(frozen=True)
class Outlook:
    """How far a lane is proven, and how far it could be.

    ``proven`` is the newest entry of the ledger; ``closed`` the mark that both sinks have reached;
    ``first`` the first sequence that is not proven yet.
    """

    proven: LedgerEntry | None
    closed: Mark
    first: int

    @property
    def left(self) -> int:
        """Sequences that could be proven now."""
        return max(self.closed.sequence - self.first + 1, 0)


@dataclass
class Reconciled:
    """What a run compared. ``report`` puts the units together; ``left`` could not be compared.

    ``stopped`` is the guard's reason when the budget ended the run before its end. ``trino_cpu_s``
    is the CPU that Trino used over all of its nodes.
    """

    outlook: Outlook
    report: Report
    costs: list[Cost] = field(default_factory=list)
    units: int = 0
    left: int = 0
    stopped: str = ""
    trino_cpu_s: float = 0.0

    @property
    def sequences(self) -> int:
        """Sequences that were compared."""
        return sum(one.messages + one.holes for one in self.report.results)

    @property
    def messages(self) -> int:
        """Messages that were read from the stream or vouched for by the ledger."""
        return sum(one.messages for one in self.report.results)


@dataclass(frozen=True)
class Extent:
    """What a run compares: ``again`` everything that was proven, else what is new.

    A unit has ``unit_sequences`` at most; ``upto`` ends the run early. A unit that gets no room
    from the budget for ``give_up_after_s`` ends the run.
    """

    unit_sequences: int
    again: bool = False
    upto: int | None = None
    give_up_after_s: float | None = None


def reconcile(settings: Settings, trino: Trino, guard: Runs, extent: Extent) -> Reconciled:
    """Compares all sides of the lane, unit by unit, and records what is equal.

    After a unit that does not hold the rest is compared all the same, and not recorded. Raises
    what ``verify`` and Trino raise, NothingClosedError for instance; BudgetNotMet and BudgetBroken
    only when not a single unit came to its end.
    """
    started = time.monotonic()
    look = asyncio.run(outlook(settings, trino))
    first, last = _range(look, extent)
    done = Reconciled(look, Report(lane="", full=False, results=[], strays=[], readers={}))
    for upto in units(first, last, extent.unit_sequences):
        apart = extent.again or not done.report.proven
        options = VerifyOptions(upto=upto, since=first if apart else None)
        unit = _Unit(settings, trino, options)
        try:
            guarded = guard.run(
                f"reconciliation up to {upto:,}", unit, give_up_after_s=extent.give_up_after_s
            )
        except (BudgetBroken, BudgetNotMet) as error:
            if not done.units:
                raise
            done.stopped = str(error)
            break
        _add(done, guarded, unit)
        first = upto + 1
    done.left = max(last - first + 1, 0)
    done.report.seconds = time.monotonic() - started
    return done


async def outlook(settings: Settings, trino: Trino) -> Outlook:
    """How far the lane is proven and could be; reads no rows. Raises as ``verify``."""
    async with gathered(settings, full=False, open_lake=TrinoSides(trino, Cancel())) as facts:
        closed = facts.known(None).upto
        proven = facts.entries[-1] if facts.entries else None
        epochs = facts.registry.record.epochs
        here = next((one for one in epochs if one.id == closed.epoch), epochs[-1])
        if proven is None:
            first = max(epochs[0].first_seq, facts.state.first_seq, 1)
        elif proven.epoch == closed.epoch:
            first = proven.last + 1
        else:
            first = min(proven.last + 1, max(here.first_seq, 1))
        return Outlook(proven, closed, first)


def units(first: int, last: int, size: int) -> Iterator[int]:
    """Last sequences of the units; all but the newest end before a multiple of ``size``.

    Ranges of the ledger then begin alike in every run, and ``again`` meets whole ones.
    """
    while first <= last:
        upto = min((first // size + 1) * size - 1, last)
        yield upto
        first = upto + 1


def _range(look: Outlook, extent: Extent) -> tuple[int, int]:
    """First and last sequence of a run; none when the last is below the first."""
    last = min(look.closed.sequence, extent.upto or look.closed.sequence)
    if not extent.again:
        return look.first, last
    return 1, min(last, look.proven.last) if look.proven else 0


class _Unit:
    """One call of ``verify``, which the guard may end."""

    def __init__(self, settings: Settings, trino: Trino, options: VerifyOptions) -> None:
        self._settings = settings
        self._trino = trino
        self._options = options
        self.trino_cpu_s = 0.0

    def __call__(self, cancel: Cancel) -> Report:
        cancel.check()
        sides = TrinoSides(self._trino, cancel)
        work = verify(self._settings, self._options, _Silent(), open_lake=sides)
        report = asyncio.run(cancellable(work, cancel))
        self.trino_cpu_s = sides.opened.cpu_s if sides.opened else 0.0
        return report


class _Silent:
    """No progress to show: the units are it."""

    def start(self, sequences: int) -> None:
        """Nothing."""

    def advance(self, sequences: int) -> None:
        """Nothing."""


async def cancellable(work: Coroutine[Any, Any, Result], cancel: Cancel) -> Result:
    """Result of ``work``. Raises WorkCancelled when it was asked to end before."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    ended = False

    def end(_reason: str) -> None:
        # Once: a second cancellation would interrupt the first one's clean-up.
        nonlocal ended
        if not ended:
            ended = True
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(task.cancel)

    with cancel.on_cancel(end):
        try:
            return await task
        except asyncio.CancelledError:
            cancel.check()
            raise


def _add(done: Reconciled, guarded: Guarded[Report], unit: _Unit) -> None:
    """Puts a unit's report to those before it."""
    whole, part = done.report, guarded.result
    whole.lane = part.lane
    whole.results += part.results
    whole.readers |= part.readers
    whole.appended += part.appended
    whole.notes += [one for one in part.notes if one not in whole.notes]
    for name, scanned in part.scanned.items():
        before = whole.scanned.get(name, Scanned())
        whole.scanned[name] = Scanned(before.rows + scanned.rows, before.bytes + scanned.bytes)
    done.costs.append(guarded.cost)
    done.units += 1
    done.trino_cpu_s += unit.trino_cpu_s
