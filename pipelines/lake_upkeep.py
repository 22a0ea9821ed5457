"""Upkeep of a lake table's metadata: manifests, snapshots, orphans, statistics.

Each is one Trino statement that commits or changes nothing, and repeating it is harmless. The
watermark is a table property and outlives the snapshots that carried it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyiceberg.table import Table

from ingest.contract import Contract
from ingest.marks import Mark
from ingest.sinks.iceberg import IcebergSink
from pipelines.cancel import Cancel
from pipelines.cost import Cost
from pipelines.guard import Guard
from pipelines.lake_files import LakeFiles, lake_files
from pipelines.settings import MaintenanceSettings
from pipelines.trino_client import Statement, Trino, literal, quoted


@dataclass(frozen=True)
class Upkept:
    """One statement: the table before and after it, and what it cost.

    ``statement`` is None when there was nothing to do, ``cost`` when no guard watched.
    """

    before: LakeFiles
    after: LakeFiles
    statement: Statement | None
    cost: Cost | None


class Upkeep:
    """Statements on one table. Every method raises what ``Trino.execute`` and the guard raise."""

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
        self._trino = trino.with_session({"max_drivers_per_task": str(settings.threads)})
        self._guard = guard
        self._settings = settings
        self._table = quoted(trino.catalog, contract.namespace, contract.table)

    def manifests(self) -> Upkept:
        """Merges manifests, so that a scan is planned from a few; nothing below the bound."""
        if lake_files(self._sink.load()).manifests < self._settings.min_manifests:
            return self._unchanged()
        return self._run("manifests", f"ALTER TABLE {self._table} EXECUTE optimize_manifests", {})

    def snapshots(self, older_than: timedelta) -> Upkept:
        """Expires snapshots older than that, with the files that only they had; keeps the newest.

        What was expired can no longer be read by time travel.
        """
        before = lake_files(self._sink.load())
        oldest = before.oldest_snapshot
        if before.snapshots < 2 or oldest is None or oldest > datetime.now(UTC) - older_than:
            return Upkept(before, before, None, None)
        return self._run(
            "snapshots",
            f"ALTER TABLE {self._table}"
            f" EXECUTE expire_snapshots(retention_threshold => {_duration(older_than)})",
            self._allow("expire_snapshots_min_retention", older_than),
        )

    def orphans(self, older_than: timedelta) -> Upkept:
        """Removes files below the table's location that no snapshot has and that are older.

        An upload that is not committed yet is such a file: ask ``upload_may_wait`` before.
        """
        return self._run(
            "orphans",
            f"ALTER TABLE {self._table}"
            f" EXECUTE remove_orphan_files(retention_threshold => {_duration(older_than)})",
            self._allow("remove_orphan_files_min_retention", older_than),
        )

    def statistics(self) -> Upkept:
        """Counts distinct values of the key columns, for Trino's planner; reads these columns."""
        if not lake_files(self._sink.load()).files:
            return self._unchanged()
        columns = ", ".join(literal(name) for name in self._contract.key)
        sql = f"ANALYZE {self._table} WITH (columns = ARRAY[{columns}])"
        return self._run("statistics", sql, {})

    def _unchanged(self) -> Upkept:
        files = lake_files(self._sink.load())
        return Upkept(files, files, None, None)

    def _run(self, what: str, sql: str, session: dict[str, str]) -> Upkept:
        before = lake_files(self._sink.load())
        trino = self._trino.with_session(session)

        def statement(cancel: Cancel) -> Statement:
            return trino.execute(sql, cancel=cancel)

        if self._guard is None:
            done, cost = statement(Cancel()), None
        else:
            guarded = self._guard.run(
                f"{what} of {self._contract.table}",
                statement,
                give_up_after_s=self._settings.give_up_after_s,
            )
            done, cost = guarded.result, guarded.cost
        return Upkept(before, lake_files(self._sink.load()), done, cost)

    def _allow(self, property_name: str, least: timedelta) -> dict[str, str]:
        """Trino refuses retentions below its own floor; ours is in the settings."""
        return {f"{self._trino.catalog}.{property_name}": f"{int(least.total_seconds())}s"}


def last_commit(table: Table, lane: str, watermark: Mark | None) -> datetime | None:
    """When the lane committed last, at the latest known; None when nothing tells.

    A commit comes after its last message was stored, which the watermark tells for ever; the
    snapshot that carried it may have expired.
    """
    told = [
        one.timestamp_ms / 1000
        for one in table.metadata.snapshots
        if one.summary is not None and one.summary.get("ingest.lane") == lane
    ]
    if watermark is not None:
        told.append(watermark.stored_at_us / 1e6)
    return datetime.fromtimestamp(max(told), UTC) if told else None


def upload_may_wait(
    last_commit: datetime | None, lag_messages: int, older_than: timedelta, now: datetime
) -> str | None:
    """Why orphans must not be removed now: an upload that old may still wait for its commit.

    One range is in flight at a time, so what waits was uploaded after the lane's last commit
    (None: not known). A lane without lag has nothing in flight.
    """
    if lag_messages == 0:
        return None
    if last_commit is None:
        return f"{lag_messages:,} messages are not in the lake and no commit of theirs is known"
    silent = now - last_commit
    if silent < older_than:
        return None
    return (
        f"{lag_messages:,} messages are not in the lake and its last commit was"
        f" {silent.total_seconds() / 3600:,.1f} h ago, {older_than.total_seconds() / 3600:g} h are"
        " allowed: an uploaded file may still wait for its commit; start `ingest run lake` first"
    )


def _duration(span: timedelta) -> str:
    return literal(f"{int(span.total_seconds())}s")
