"""Compaction: small files of one partition merged by one Trino statement at a time.

There is nothing to keep between runs: the next one looks at the files again and finds what is
left. A statement names the files that it merges, so a unit is as small as the budget needs it; it
replaces them in one commit or not at all.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from ingest.contract import Contract
from ingest.sinks.iceberg import IcebergSink
from pipelines.cancel import Cancel
from pipelines.cost import Cost
from pipelines.errors import (
    BudgetBroken,
    BudgetNotMet,
    TrinoConflict,
    TrinoLimitReached,
    TrinoWriteFailed,
    UnknownPartition,
)
from pipelines.guard import Guard
from pipelines.lake_debt import Debt, Unit, debt
from pipelines.lake_files import LakeFiles, lake_files
from pipelines.settings import MaintenanceSettings
from pipelines.trino_client import Statement, Trino, literal, quoted

log = structlog.get_logger(__name__)

# Merging leaves a few files a unit; those are merged in the next pass.
_PASSES = 4
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Compacted:
    """One unit that was merged; ``cost`` is None when no guard watched.

    ``in_order`` says that its rows are sorted through, not file after file.
    """

    unit: Unit
    in_order: bool
    statement: Statement
    cost: Cost | None


@dataclass
class Compaction:
    """What one run did: the table before and after, the units, and why it stopped early."""

    before: LakeFiles
    owed: Debt
    done: list[Compacted] = field(default_factory=list)
    conflicts: int = 0
    stopped: str | None = None
    after: LakeFiles | None = None
    left: Debt | None = None


class Compactor:
    """Merges the small files of one table. Without a guard nothing holds it back."""

    def __init__(
        self,
        contract: Contract,
        sink: IcebergSink,
        trino: Trino,
        guard: Guard | None,
        settings: MaintenanceSettings,
    ) -> None:
        self._contract = contract
        self._sink = sink
        self._trino = trino.with_session(_session(trino.catalog, settings))
        self._sort_most = settings.sort_max_rows or sys.maxsize
        self._guard = guard
        self._settings = settings

    def look(self) -> tuple[LakeFiles, Debt]:
        """The table's files and their debt now. Raises SinkUnavailableError."""
        files = lake_files(self._sink.load())
        return files, debt(files, self._settings, datetime.now(UTC))

    def run(self, partitions: Collection[str] = ()) -> Compaction:
        """Merges until nothing is owed (by the partitions named) or the budget breaks.

        Raises what ``Trino.execute`` raises, apart from conflicts and limits, which are met by
        another try and by smaller units, and UnknownPartition. What was merged stays merged.
        """
        files, owed = self.look()
        _check(partitions, files)
        result = Compaction(files, owed)
        for _ in range(_PASSES):
            units = owed.units(partitions)
            if not units or not self._merge_all(units, result):
                break
            _, owed = self.look()
        result.after, result.left = self.look()
        return result

    def _merge_all(self, units: Collection[Unit], result: Compaction) -> bool:
        """Whether all units were taken on; else the result says why not."""
        waiting = deque(units)
        while waiting:
            unit = waiting.popleft()
            try:
                merged = self._merge(unit)
            except (BudgetBroken, BudgetNotMet) as error:
                result.stopped = f"{error}; {len(waiting) + 1} units left"
                log.info("compaction_stopped", table=self._contract.table, why=result.stopped)
                return False
            except TrinoConflict as error:
                result.conflicts += 1
                log.info("compaction_conflict", unit=str(unit), why=str(error))
            except TrinoLimitReached:
                if not unit.halves():
                    raise
                waiting.extendleft(reversed(unit.halves()))
            else:
                result.done.append(merged)
        return True

    def _merge(self, unit: Unit) -> Compacted:
        """Sorts what Trino can sort.

        Beyond its sort buffer it writes temporary files beside the table's. Table buckets refuse
        them (SeaweedFS 4.48, 2026-11: any name that is not the table's layout), and Trino 476 has
        no other place for them; then sorted files are put one after the other.
        """
        if unit.rows > self._sort_most:
            return self._run(unit, in_order=False)
        try:
            return self._run(unit, in_order=True)
        except TrinoWriteFailed as error:
            log.info("compaction_unsorted", unit=str(unit), rows=unit.rows, why=str(error))
            self._sort_most = unit.rows - 1
            return self._run(unit, in_order=False)

    def _run(self, unit: Unit, *, in_order: bool) -> Compacted:
        sql = merge_sql(self._trino.catalog, self._contract, unit)
        ordered = {f"{self._trino.catalog}.sorted_writing_enabled": str(in_order).lower()}
        trino = self._trino.with_session(ordered)

        def statement(cancel: Cancel) -> Statement:
            return trino.execute(sql, cancel=cancel)

        if self._guard is None:
            return Compacted(unit, in_order, statement(Cancel()), None)
        guarded = self._guard.run(
            f"compaction of {unit}", statement, give_up_after_s=self._settings.give_up_after_s
        )
        return Compacted(unit, in_order, guarded.result, guarded.cost)


def _check(partitions: Collection[str], files: LakeFiles) -> None:
    known = [one.label for one in files.partitions()]
    unknown = sorted(set(partitions) - set(known))
    if unknown:
        there = f"{known[0]} to {known[-1]}" if known else "none yet"
        raise UnknownPartition(
            f"the table has no partition {', '.join(unknown)}; its partitions are {there}"
        )


def merge_sql(catalog: str, contract: Contract, unit: Unit) -> str:
    """The statement that merges the unit's files and no others."""
    paths = ", ".join(literal(path) for path in unit.paths)
    where = [f'"$path" IN ({paths})']
    if unit.period is not None:
        # Lets Trino pass over the manifests of every other partition.
        time = quoted(contract.time_column)
        where += [
            f"{time} >= {literal(unit.period.start)}",
            f"{time} < {literal(unit.period.end)}",
        ]
    above = max(file.bytes for file in unit.files) // _MEGABYTE + 1
    return (
        f"ALTER TABLE {quoted(catalog, contract.namespace, contract.table)}"
        f" EXECUTE optimize(file_size_threshold => '{above}MB') WHERE {' AND '.join(where)}"
    )


def _session(catalog: str, settings: MaintenanceSettings) -> dict[str, str]:
    """One writer, so that a unit ends in one file; few drivers, so that the hot path has room."""
    return {
        "task_min_writer_count": "1",
        "task_max_writer_count": "1",
        "max_drivers_per_task": str(settings.threads),
        f"{catalog}.target_max_file_size": f"{settings.target_file_bytes // _MEGABYTE}MB",
    }
