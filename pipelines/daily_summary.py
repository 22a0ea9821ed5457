"""The daily summary of each device in the lake: which days are out of date, and how one is made.

A day is made from one snapshot and replaced as a whole by one commit, so a repetition changes
nothing and a run that is killed leaves the day as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pyiceberg.table import Table

from ingest.contract import Contract
from ingest.sinks.iceberg import IcebergSink
from pipelines.cancel import Cancel
from pipelines.daily_sql import DailySql, Source
from pipelines.lake_files import PartitionFiles, lake_files
from pipelines.trino_client import Trino

MAX_SNAPSHOTS = 200
"""Snapshots of the summary from which on those older than a week are expired."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class OutdatedDay:
    """A day of which the lake holds another number of readings than its summary counts."""

    day: date
    lake_readings: int
    summarised: int


@dataclass(frozen=True)
class Summary:
    """One day as it is now in the summary, and what making it cost.

    ``hours`` are readings by hour of the day, UTC; ``before`` readings that the day had before.
    """

    day: date
    source: Source
    rows: int
    readings: int
    late: int
    before: int
    hours: dict[int, int]
    most_late: list[tuple[Any, ...]]
    elapsed_s: float
    cpu_s: float
    bytes_read: int


class DailySummary:
    """The table ``<table>_daily`` of one contract, which must have a rollup."""

    def __init__(
        self, trino: Trino, contract: Contract, sink: IcebergSink, late_after_s: float
    ) -> None:
        self._trino = trino
        self._contract = contract
        self._sink = sink
        self.sql = DailySql(contract, trino.catalog, late_after_s)

    def source(self) -> Source | None:
        """The lake's current snapshot and its watermark; None for an empty table."""
        return self._source(self._sink.load())

    def outdated(self) -> list[OutdatedDay]:
        """Days whose summary does not count what the lake holds, oldest first.

        Counts of whole partitions come from the lake's manifests. Rows are read (their time column
        alone) in partitions longer than a day when their count differs, and where rows were
        deleted, which manifests count all the same.
        """
        table = self._sink.load()
        if table.current_snapshot() is None:
            return []
        summarised = self._summarised()
        lake = self._held(table, summarised)
        days = sorted(lake.keys() | summarised.keys())
        found = [OutdatedDay(day, lake.get(day, 0), summarised.get(day, 0)) for day in days]
        return [one for one in found if one.lake_readings != one.summarised]

    def _held(self, table: Table, summarised: dict[date, int]) -> dict[date, int]:
        """Readings by day in the lake."""
        found: dict[date, int] = {}
        with_deletes: set[date] = set()
        for partition in lake_files(table).partitions():
            period = partition.period
            if period is None or period.end - period.start > _DAY:
                found |= self._counted(table, partition, summarised)
                continue
            day = period.start.date()
            found[day] = found.get(day, 0) + partition.rows
            if partition.delete_files:
                with_deletes.add(day)
        for day in with_deletes:
            found[day] = self._count(table, day, day + _DAY).get(day, 0)
        return found

    def summarise(self, day: date, source: Source, cancel: Cancel) -> Summary:
        """Makes the day from the source's snapshot; the table is made where it is missing."""
        self._trino.execute(self.sql.create, cancel=cancel, repeatable=True)
        before = self._trino.query(self.sql.totals(day))[0]
        # One commit that can be repeated: it makes the day what the snapshot holds.
        done = self._trino.execute(self.sql.replace(day, source), cancel=cancel, repeatable=True)
        if before[0]:
            self._trino.execute(self.sql.merge_deletes(day), cancel=cancel, repeatable=True)
        if self._trino.query(self.sql.snapshots)[0][0] > MAX_SNAPSHOTS:
            self._trino.execute(self.sql.expire, cancel=cancel, repeatable=True)
        rows, readings, late = self._trino.query(self.sql.totals(day))[0]
        hours = self._trino.query(self.sql.hours(day, source.snapshot_id))
        return Summary(
            day=day,
            source=source,
            rows=int(rows),
            readings=int(readings),
            late=int(late),
            before=int(before[1]),
            hours={int(hour): int(count) for hour, count in hours},
            most_late=self._trino.query(self.sql.most_late(day, 20)),
            elapsed_s=done.elapsed_s,
            cpu_s=done.cpu_s,
            bytes_read=done.bytes_read,
        )

    def _source(self, table: Table) -> Source | None:
        snapshot = table.current_snapshot()
        watermark = self._sink.watermark(table)
        if snapshot is None:
            return None
        return Source(
            snapshot.snapshot_id,
            watermark.epoch if watermark else "",
            watermark.sequence if watermark else 0,
        )

    def _summarised(self) -> dict[date, int]:
        if not self._exists():
            return {}
        return {day: int(count) for day, count, _ in self._trino.query(self.sql.counts)}

    def _exists(self) -> bool:
        name = f"{self._contract.table}_daily"
        found = self._trino.query(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
            (self._contract.namespace, name),
        )
        return bool(found)

    def _counted(
        self, table: Table, partition: PartitionFiles, summarised: dict[date, int]
    ) -> dict[date, int]:
        """Readings by day of a partition that is longer than a day."""
        period = partition.period
        first = period.start.date() if period else date(1970, 1, 1)
        end = period.end.date() if period else datetime.now(UTC).date() + 2 * _DAY
        known = {day: count for day, count in summarised.items() if first <= day < end}
        if sum(known.values()) == partition.rows and not partition.delete_files:
            return known
        return self._count(table, first, end)

    def _count(self, table: Table, since: date, until: date) -> dict[date, int]:
        snapshot = table.current_snapshot()
        assert snapshot is not None
        rows = self._trino.query(self.sql.lake_counts(since, until, snapshot.snapshot_id))
        return {day: int(count) for day, count in rows}


def due(
    outdated: Iterable[OutdatedDay], first_day: date, today: date, limit: int
) -> list[OutdatedDay]:
    """The days to make now: none before ``first_day`` or after today, the oldest first."""
    return [one for one in outdated if first_day <= one.day <= today][:limit]
