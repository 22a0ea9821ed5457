"""The statements of the daily summary, made from a contract for Trino."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from ingest.contract import Column, Contract
from pipelines.trino_client import quoted
from pipelines.trino_types import COLUMN_TYPES

SUFFIX = "daily"
_MOMENT = "timestamp(6) with time zone"
_FIGURES = {
    "readings": "bigint",
    "least": "double",
    "most": "double",
    "mean": "double",
    "first_value": "double",
    "first_at": _MOMENT,
    "last_value": "double",
    "last_at": _MOMENT,
    "late": "bigint",
    "late_share": "double",
    "lake_snapshot": "bigint",
    "upto_epoch": "varchar",
    "upto_sequence": "bigint",
}
"""Columns after the day and the groups; the last three say what the row was made from."""


@dataclass(frozen=True)
class Source:
    """What a summary is made from: one snapshot of the lake, and the watermark that it has."""

    snapshot_id: int
    epoch: str
    sequence: int


class DailySql:
    """Statements for one contract's ``<table>_daily`` in the given Trino catalog.

    The contract's rollup names groups and value; ``late_after_s`` is the time between a reading's
    own time and its storage from which on it is late.
    """

    def __init__(self, contract: Contract, catalog: str, late_after_s: float) -> None:
        assert contract.rollup is not None
        self.groups = [contract.column(name) for name in contract.rollup.group_by]
        self._value = quoted(contract.rollup.value)
        self._time = quoted(contract.time_column)
        self._late_ms = round(late_after_s * 1000)
        self._lake = quoted(catalog, contract.namespace, contract.table)
        name = f"{contract.table}_{SUFFIX}"
        self.table = quoted(catalog, contract.namespace, name)
        self._snapshots = quoted(catalog, contract.namespace, f"{name}$snapshots")

    @property
    def create(self) -> str:
        """Makes the table where it is missing: a partition a day."""
        groups = [f"{quoted(one.name)} {COLUMN_TYPES[one.type]}" for one in self.groups]
        figures = [f"{name} {kind}" for name, kind in _FIGURES.items()]
        return (
            f"CREATE TABLE IF NOT EXISTS {self.table} (day date, {', '.join(groups + figures)})"
            " COMMENT 'One row for each day and group, replaced as a whole day'"
            " WITH (format_version = 2, partitioning = ARRAY['day'])"
        )

    @property
    def counts(self) -> str:
        """Readings by day that the summary has, and the newest sequence it was made from."""
        return f"SELECT day, sum(readings), max(upto_sequence) FROM {self.table} GROUP BY day"

    def lake_counts(self, since: date, until: date, snapshot_id: int) -> str:
        """Readings by day in the lake, from ``since`` to before ``until``."""
        return (
            f"SELECT CAST({self._time} AT TIME ZONE 'UTC' AS date), count(*)"
            f" FROM {self._at(snapshot_id)} WHERE {self._between(since, until)} GROUP BY 1"
        )

    def hours(self, day: date, snapshot_id: int) -> str:
        """Readings by hour of the day."""
        return (
            f"SELECT hour({self._time} AT TIME ZONE 'UTC'), count(*)"
            f" FROM {self._at(snapshot_id)} WHERE {self._of(day)} GROUP BY 1 ORDER BY 1"
        )

    def totals(self, day: date) -> str:
        """Rows, readings and late readings of the day in the summary."""
        return (
            "SELECT count(*), coalesce(sum(readings), 0), coalesce(sum(late), 0)"
            f" FROM {self.table} WHERE day = {_literal(day)}"
        )

    def most_late(self, day: date, limit: int) -> str:
        """The groups with the largest share of late readings."""
        names = ", ".join(quoted(one.name) for one in self.groups)
        return (
            f"SELECT {names}, readings, least, mean, most, late_share FROM {self.table}"
            f" WHERE day = {_literal(day)} ORDER BY late_share DESC, readings DESC LIMIT {limit}"
        )

    def merge_deletes(self, day: date) -> str:
        """Rewrites the day's files without the rows that earlier replacements marked as gone."""
        return f"ALTER TABLE {self.table} EXECUTE optimize WHERE day = {_literal(day)}"

    @property
    def snapshots(self) -> str:
        """Number of snapshots of the summary."""
        return f"SELECT count(*) FROM {self._snapshots}"

    @property
    def expire(self) -> str:
        """Expires snapshots older than a week, the shortest time that Trino allows unasked."""
        return f"ALTER TABLE {self.table} EXECUTE expire_snapshots(retention_threshold => '7d')"

    def replace(self, day: date, source: Source) -> str:
        """Makes the day's rows what the snapshot holds: changed, added and removed in one commit.

        Trino's MERGE has no "not matched by source", so rows of the table that have no reading any
        more come along in the source, without figures.
        """
        names = [quoted(one.name) for one in self.groups]
        figures = ", ".join(f"max({name}) AS {name}" for name in _FIGURES)
        gone = ", ".join("NULL" for _ in _FIGURES)
        columns = ["day", *names, *_FIGURES]
        values = [_literal(day), *(f"s.{name}" for name in (*names, *_FIGURES))]
        changes = ", ".join(f"{name} = s.{name}" for name in _FIGURES)
        keys = " AND ".join(_equal(one) for one in self.groups)
        listed = ", ".join(names)
        return (
            f"MERGE INTO {self.table} AS t USING (SELECT {listed}, {figures} FROM ("
            f"{self._fresh(day, source)} UNION ALL SELECT {listed}, {gone} FROM {self.table}"
            f" WHERE day = {_literal(day)}) GROUP BY {listed}) AS s"
            f" ON t.day = {_literal(day)} AND {keys}"
            " WHEN MATCHED AND s.readings IS NULL THEN DELETE"
            f" WHEN MATCHED THEN UPDATE SET {changes}"
            f" WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) VALUES ({', '.join(values)})"
        )

    def _fresh(self, day: date, source: Source) -> str:
        names = ", ".join(quoted(one.name) for one in self.groups)
        value, time = f"CAST({self._value} AS double)", self._time
        place = f"ROW({time}, _seq, _idx)"
        late = f"count_if(date_diff('millisecond', {time}, _stored_at) > {self._late_ms})"
        figures = [
            "count(*)",
            f"min({value})",
            f"max({value})",
            f"avg({value})",
            f"min_by({value}, {place})",
            f"min({time})",
            f"max_by({value}, {place})",
            f"max({time})",
            late,
            f"CAST({late} AS double) / count(*)",
            f"BIGINT '{source.snapshot_id}'",
            f"'{source.epoch}'",
            f"BIGINT '{source.sequence}'",
        ]
        listed = ", ".join(
            f"{figure} AS {name}" for figure, name in zip(figures, _FIGURES, strict=True)
        )
        return (
            f"SELECT {names}, {listed} FROM {self._at(source.snapshot_id)}"
            f" WHERE {self._of(day)} GROUP BY {names}"
        )

    def _at(self, snapshot_id: int) -> str:
        return f"{self._lake} FOR VERSION AS OF {snapshot_id}"

    def _of(self, day: date) -> str:
        return self._between(day, day + timedelta(days=1))

    def _between(self, since: date, until: date) -> str:
        first, end = (f"TIMESTAMP '{one.isoformat()} 00:00:00 UTC'" for one in (since, until))
        return f"{self._time} >= {first} AND {self._time} < {end}"


def _equal(column: Column) -> str:
    name = quoted(column.name)
    equal = f"t.{name} = s.{name}"
    return (
        f"({equal} OR (t.{name} IS NULL AND s.{name} IS NULL))" if column.nullable else f"{equal}"
    )


def _literal(day: date) -> str:
    return f"DATE '{day.isoformat()}'"
