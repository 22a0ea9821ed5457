"""The rollup's side: the view per group and minute against the table's own rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ingest.contract import Contract, Rollup
from ingest.errors import IngestError
from ingest.proof.canonical_sql import quoted
from ingest.proof.findings import Finding, Problem
from ingest.proof.side import Segment
from ingest.proof.sql_side import EPOCH, SqlSide
from ingest.ranges import merge
from ingest.sinks.clickhouse_schema import rollup_query

NAME = "rollup"
MOST_MINUTES = 32
MOST_GROUPS = 8
MOST_SEQUENCES = 10_000
MINUTE_US = 60_000_000
TRIES = 4
"""A part that comes between the looks of one statement makes them differ once, not always."""
EXACT = ("count", "min", "max", "last")
RELATIVE = 1e-9
"""Sums of the same floats in another order differ in the last digits."""


@dataclass(frozen=True)
class RollupResult:
    """Minutes and rows that were compared, and what differs."""

    minutes: int
    rows: int
    findings: list[Finding]


class RollupCheck:
    """Compares the view ``<table>_1m`` with the table where a segment's rows fall."""

    def __init__(self, contract: Contract, rollup: Rollup, side: SqlSide) -> None:
        self._contract = contract
        self._rollup = rollup
        self._side = side
        self._table = f"{quoted(contract.namespace)}.{quoted(contract.table)}"
        self._time = f"toUnixTimestamp64Micro({quoted(contract.time_column)})"
        self._view = f"{quoted(contract.namespace)}.{quoted(contract.table + '_1m')}"

    def compare(self, segment: Segment) -> RollupResult:
        """Compares every minute that a row of the segment falls in; blocks."""
        try:
            bounds = self._bounds(segment)
            if bounds is None:
                return RollupResult(0, 0, [])
            wrong, minutes, rows = self._differing(segment, bounds)
            for _ in range(TRIES - 1):
                if not wrong:
                    break
                wrong = self._differing(segment, bounds)[0]
            findings = [
                found
                for minute in wrong[:MOST_MINUTES]
                for found in self._groups(minute, segment.epoch)
            ]
        except IngestError as error:
            detail = f"the view cannot be read: {error}"
            return RollupResult(0, 0, [_finding(segment, detail)])
        if len(wrong) > MOST_MINUTES:
            detail = f"{len(wrong)} minutes differ, {MOST_MINUTES} were looked into"
            findings.append(_finding(segment, detail))
        return RollupResult(minutes, rows, findings)

    def _bounds(self, segment: Segment) -> tuple[int, int] | None:
        """First and last minute (microseconds since the Unix epoch) of the segment's rows."""
        rows = self._side.query(
            f"SELECT min({self._time}), max({self._time}), count() FROM {self._table}"
            f" WHERE {self._side.where(segment)}",
            self._side.parameters(segment),
        )
        least, most, count = map(int, rows[0])
        return (least - least % MINUTE_US, most - most % MINUTE_US) if count else None

    def _differing(self, segment: Segment, bounds: tuple[int, int]) -> tuple[list[int], int, int]:
        """Minutes (microseconds) that differ, and the number of minutes and rows compared."""
        touched = (
            f"SELECT DISTINCT {self._time} - positiveModulo({self._time}, {MINUTE_US})"
            f" FROM {self._table} WHERE {self._side.where(segment)}"
        )
        groups = ", ".join(quoted(name) for name in self._rollup.group_by)
        exact = (
            f"groupBitXor(xxHash64({groups}, count, toString(min + 0), toString(max + 0), last))"
        )
        view, table = (
            {int(minute): tuple(rest) for minute, *rest in rows}
            for rows in self._both(
                f"SELECT toUnixTimestamp64Micro(minute) AS __minute, sum(count), {exact},"
                " sum(sum), sum(abs(sum)) FROM {of}"
                f" WHERE __minute IN ({touched}) GROUP BY __minute",
                self._side.parameters(segment),
                bounds,
            )
        )
        wrong = sorted(
            minute
            for minute in view.keys() | table.keys()
            if not _same_minute(view.get(minute), table.get(minute))
        )
        return wrong, len(table), sum(int(one[0]) for one in table.values())

    def _both(
        self, query: str, parameters: dict[str, Any], bounds: tuple[int, int]
    ) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """The query over the view, and over the same aggregate computed from the rows.

        Both in one statement, so that both see the same parts while a writer adds some. The
        condition on ``_seq``, which no projection holds, makes ClickHouse read the rows.
        """
        time = quoted(self._contract.time_column)
        rows = (
            f"{self._table} WHERE _seq >= 0"
            f" AND {time} >= fromUnixTimestamp64Micro({bounds[0]}, 'UTC')"
            f" AND {time} < fromUnixTimestamp64Micro({bounds[1] + MINUTE_US}, 'UTC')"
        )
        recomputed = f"({rollup_query(self._contract, self._rollup, rows)})"
        sides = (self._view, recomputed)
        found = self._side.query(
            " UNION ALL ".join(
                f"SELECT {number} AS __side, * FROM ({query.replace('{of}', source)})"
                for number, source in enumerate(sides)
            ),
            parameters,
        )
        view, table = ([row[1:] for row in found if row[0] == number] for number in (0, 1))
        return view, table

    def _groups(self, minute: int, epoch: str) -> list[Finding]:
        """A finding for each group of the minute that differs, naming its sequences."""
        groups = [quoted(name) for name in self._rollup.group_by]
        columns = ", ".join((*EXACT, "sum"))
        view, table = (
            {row[: len(groups)]: row[len(groups) :] for row in rows}
            for rows in self._both(
                f"SELECT {', '.join(groups)}, {columns} FROM {{of}}"
                f" WHERE toUnixTimestamp64Micro(minute) = {minute}",
                {},
                (minute, minute),
            )
        )
        wrong = [
            group
            for group in sorted(view.keys() | table.keys(), key=str)
            if not _same_group(view.get(group), table.get(group))
        ]
        return [
            self._named(minute, group, epoch, (view.get(group), table.get(group)))
            for group in wrong[:MOST_GROUPS]
        ]

    def _named(
        self, minute: int, group: tuple[Any, ...], epoch: str, values: tuple[Any, Any]
    ) -> Finding:
        names = self._rollup.group_by
        where = " AND ".join(
            f"toString({quoted(name)}) = {{g{number}:String}}" for number, name in enumerate(names)
        )
        rows = self._side.query(
            f"SELECT _seq, {quoted(self._rollup.value)} FROM {self._table} WHERE {where}"
            f" AND {self._time} >= {minute} AND {self._time} < {minute + MINUTE_US}"
            f" ORDER BY _seq LIMIT {MOST_SEQUENCES}",
            {f"g{n}": str(value) for n, value in enumerate(group)},
        )
        view, table = values
        problem = _problem(view, table)
        sequences = _suspects(rows, view, table)
        label = ", ".join(f"{name}={value}" for name, value in zip(names, group, strict=True))
        told = ", ".join(
            f"{name} {_value(view, number)}, table {_value(table, number)}"
            for number, name in enumerate((*EXACT, "sum"))
            if _value(view, number) != _value(table, number)
        )
        detail = f"{label}, minute {_clock(minute)}: view has {told}"
        return Finding(NAME, problem, epoch, tuple(merge(sequences)), detail)


def _clock(minute: int) -> str:
    return f"{EPOCH + timedelta(microseconds=minute):%Y-%m-%dT%H:%MZ}"


def _finding(segment: Segment, detail: str) -> Finding:
    return Finding(NAME, Problem.DIFFERS, segment.epoch, (segment.range,), detail)


def _same_minute(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    if one is None or other is None:
        return one is other
    return one[:2] == other[:2] and abs(one[2] - other[2]) <= RELATIVE * max(one[3], other[3])


def _same_group(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    if one is None or other is None:
        return one is other
    scale = max(abs(one[1]), abs(one[2])) * one[0]
    return one[:4] == other[:4] and abs(one[4] - other[4]) <= RELATIVE * scale


def _value(values: tuple[Any, ...] | None, number: int) -> Any:
    return None if values is None else values[number]


def _problem(view: tuple[Any, ...] | None, table: tuple[Any, ...] | None) -> Problem:
    have, want = (0 if one is None else int(one[0]) for one in (view, table))
    if have == want:
        return Problem.CHANGED
    return Problem.MISSING if have < want else Problem.DOUBLED


def _suspects(
    rows: list[tuple[Any, ...]], view: tuple[Any, ...] | None, table: tuple[Any, ...] | None
) -> list[int]:
    """Sequences of the group; the one whose value is what the sums differ by, where it is one."""
    every = [int(sequence) for sequence, _ in rows]
    if view is None or table is None or abs(int(view[0]) - int(table[0])) != 1:
        return every
    gap = abs(float(view[4]) - float(table[4]))
    scale = max(abs(float(table[1])), abs(float(table[2])), 1.0) * int(table[0])
    close = [int(s) for s, v in rows if abs(abs(float(v)) - gap) <= RELATIVE * scale]
    return close or every
