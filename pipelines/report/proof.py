"""A reconciliation in Dagster's pages: figures, tables, and the verdict of each side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import dagster as dg

from ingest.ledger import LedgerEntry
from ingest.proof.dead_letters import NAME as DLQ
from ingest.proof.facts import HOT
from ingest.proof.findings import Problem
from ingest.proof.iceberg_side import NAME as LAKE
from ingest.proof.report import COLUMNS, STREAM
from ingest.proof.rollup import NAME as ROLLUP
from ingest.proof.sums import NOTHING
from pipelines.reconcile import Reconciled
from pipelines.reconcile_findings import HEADERS, Explained
from pipelines.report.tables import markdown_table

CHECKS = {
    HOT: "stream_equals_clickhouse",
    LAKE: "stream_equals_iceberg",
    DLQ: "refused_equals_dead_letters",
    ROLLUP: "rollup_equals_clickhouse",
    STREAM: "history_is_vouched_for",
}
"""Name of the check by the side whose findings make it red."""
MEANING = {
    HOT: "ClickHouse holds every row of the stream once, with the same contents",
    LAKE: "Iceberg, read by Trino, holds every row of the stream once, with the same contents",
    DLQ: "every message that the contract refuses is in the dead-letter queue, byte for byte",
    ROLLUP: "the per-minute view holds what the rows of ClickHouse add up to",
    STREAM: "the stream or the ledger vouches for every range",
}
MOST_SENTENCES = 5
Figures = dict[str, int | float]


def figures(done: Reconciled) -> Figures:
    """Numbers of a run, for plots over time."""
    report = done.report
    found: Figures = {
        "sequences": done.sequences,
        "messages": done.messages,
        "rows": report.reference.rows,
        "holes": sum(one.holes for one in report.results),
        "refused": sum(one.refused for one in report.results),
        "findings": len(report.findings),
        "sequences_left": done.left,
        "proven_upto": _proven_upto(done),
        "closed_upto": done.outlook.closed.sequence,
        "units": done.units,
        "seconds": round(report.seconds, 3),
        "ledger_entries_added": report.appended,
        "trino_cpu_s": round(done.trino_cpu_s, 3),
    }
    for side, engine in ((LAKE, "trino"), (HOT, "clickhouse")):
        if side in report.scanned:
            found[f"{engine}_rows_read"] = report.scanned[side].rows
            found[f"{engine}_bytes_read"] = report.scanned[side].bytes
    if report.seconds > 0:
        found["messages_per_s"] = round(done.messages / report.seconds)
    return found | _worst_cost(done)


def metadata(done: Reconciled, found: Sequence[Explained]) -> dict[str, dg.MetadataValue]:
    """Everything that the page of a materialisation shows."""
    listed: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.int(value)
        if isinstance(value, int)
        else dg.MetadataValue.float(value)
        for name, value in figures(done).items()
    }
    report = done.report
    listed["verdict"] = dg.MetadataValue.text(report.verdict())
    listed["claims"] = markdown_table(
        ("claim", *COLUMNS, "holds"),
        [
            (one.name, *(one.values.get(side, "") for side in COLUMNS), one.holds)
            for one in report.claims()
        ],
    )
    listed["last proven"] = dg.MetadataValue.text(last_proven(done.outlook.proven))
    if found:
        listed["findings_table"] = findings_table(found)
    if report.notes:
        listed["notes"] = markdown_table(("note",), [(one,) for one in report.notes])
    if done.stopped:
        listed["stopped"] = dg.MetadataValue.text(done.stopped)
    listed["units_table"] = _units(done)
    return listed


def check_results(
    done: Reconciled, found: Sequence[Explained], key: dg.AssetKey, sides: Iterable[str]
) -> list[dg.AssetCheckResult]:
    """The verdict of each of the sides; a red one names sequences, place and time."""
    return [
        _check(done, [one for one in found if one.finding.side == side], key, side)
        for side in sides
    ]


def findings_table(found: Iterable[Explained]) -> dg.MetadataValue:
    """A row for each finding."""
    return markdown_table(HEADERS, [one.row() for one in found])


def last_proven(entry: LedgerEntry | None) -> str:
    """The newest range of the ledger in words."""
    if entry is None:
        return "nothing yet"
    when = datetime.fromtimestamp(entry.proven_at_us / 1e6, UTC)
    return f"{entry.range} of epoch {entry.epoch}, {when:%Y-%m-%d %H:%M:%S} UTC"


def sentences(found: Sequence[Explained]) -> str:
    """The first findings in words."""
    told = [one.sentence() for one in found[:MOST_SENTENCES]]
    if len(found) > MOST_SENTENCES:
        told.append(f"{len(found) - MOST_SENTENCES} more findings in the table")
    return "; ".join(told)


def _check(
    done: Reconciled, found: Sequence[Explained], key: dg.AssetKey, side: str
) -> dg.AssetCheckResult:
    counts = {
        str(problem): sum(one.sequences for one in found if one.finding.problem is problem)
        for problem in Problem
    }
    listed: dict[str, dg.MetadataValue | int | str] = {
        "sequences_compared": done.sequences,
        "rows_expected": done.report.reference.rows,
        "last proven": last_proven(done.outlook.proven),
        **{name: count for name, count in counts.items() if found or count},
    }
    if side in (HOT, LAKE):
        listed["rows_found"] = sum(one.sinks.get(side, NOTHING).rows for one in done.report.results)
    if side == DLQ:
        listed["refused"] = sum(one.refused for one in done.report.results)
        listed["dead_letters"] = sum(one.dlq for one in done.report.results)
    if found:
        listed["findings"] = findings_table(found)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=CHECKS[side],
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR,
        description=sentences(found) if found else _green(done, side),
        metadata=listed,
    )


def _green(done: Reconciled, side: str) -> str:
    if not done.units:
        return f"nothing new to compare; last proven: {last_proven(done.outlook.proven)}"
    return f"{MEANING[side]}: {done.sequences:,} sequences compared"


def _proven_upto(done: Reconciled) -> int:
    """Last sequence on the ledger after the run."""
    held = done.outlook.proven.last if done.outlook.proven else 0
    report = done.report
    proven = [one.part.segment.range.last for one in report.results[: report.appended]]
    return max([held, *proven])


def _worst_cost(done: Reconciled) -> Figures:
    """The largest p99 and lag of the hot path over all units, before, during and after."""
    worst: Figures = {}
    for cost in done.costs:
        for name, value in cost.numbers().items():
            if name.startswith(("hot_p99", "hot_lag")):
                worst[name] = max(worst.get(name, 0.0), round(value, 4))
    if done.costs:
        worst["waited_s"] = round(sum(one.waited_s for one in done.costs), 3)
    return worst


def _units(done: Reconciled) -> dg.MetadataValue:
    rows = [
        (one.work, one.seconds, one.waited_s, one.before.p99_s, one.during.p99_s)
        for one in done.costs
    ]
    return markdown_table(("unit", "seconds", "waited s", "hot p99 before", "during"), rows)
