"""Figures of the lake's maintenance as metadata: numbers, a table, plots."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import dagster as dg

from pipelines.compaction import Compacted, Compaction
from pipelines.cost import Cost
from pipelines.lake_debt import Debt
from pipelines.lake_files import LakeFile, LakeFiles
from pipelines.lake_upkeep import Upkept
from pipelines.report import plots
from pipelines.report.costs import costs_of
from pipelines.report.tables import markdown_table
from pipelines.trino_client import Statement

Metadata = dict[str, int | float | str | dg.MetadataValue]

_SIZES = (
    ("< 64 kB", 64 << 10),
    ("< 256 kB", 256 << 10),
    ("< 1 MB", 1 << 20),
    ("< 4 MB", 4 << 20),
    ("< 16 MB", 16 << 20),
    ("< 64 MB", 64 << 20),
    ("larger", math.inf),
)
_PARTITIONS_SHOWN = 50


def of_compaction(done: Compaction) -> Metadata:
    """Numbers, units by partition, file sizes before and after, hot p99 around each unit."""
    after, left = done.after or done.before, done.left or done.owed
    found: Metadata = {
        **_table(done.before, after),
        "units": len(done.done),
        "files_merged": sum(len(one.unit.files) for one in done.done),
        "units_not_sorted": sum(not one.in_order for one in done.done),
        "conflicts": done.conflicts,
        "files_too_many_before": done.owed.files,
        "files_too_many": left.files,
        **_statements([one.statement for one in done.done]),
        **costs_of([one.cost for one in done.done if one.cost]),
        "partitions": _partitions(done.before, after, done.done),
        "file sizes": sizes_plot(done.before.files, after.files),
    }
    if done.stopped:
        found["stopped"] = done.stopped
    costs = [one.cost for one in done.done if one.cost and one.cost.during.p99_s is not None]
    if costs:
        found["hot p99"] = _p99_plot(costs)
    return found


def of_upkeep(done: Upkept) -> Metadata:
    """Numbers before and after one statement on the table's metadata."""
    before, after = done.before, done.after
    return {
        **_table(before, after),
        "manifests_before": before.manifests,
        "manifests": after.manifests,
        "manifest_bytes_before": before.manifest_bytes,
        "manifest_bytes": after.manifest_bytes,
        "snapshots_before": before.snapshots,
        "snapshots": after.snapshots,
        "nothing_to_do": int(done.statement is None),
        **_statements([done.statement] if done.statement else []),
        **costs_of([done.cost] if done.cost else []),
    }


def of_debt(owed: Debt) -> Metadata:
    """What compaction would do: units by partition, in their order."""
    rows = [
        (one.partition.label, len(one.partition.data), one.files, len(one.units), one.bytes)
        for one in owed.due
    ]
    headers = ("partition", "files", "too many", "units", "bytes to rewrite")
    return {
        "files_too_many": owed.files,
        "bytes_to_rewrite": owed.bytes,
        "units": len(owed.units()),
        "plan": markdown_table(headers, rows[:_PARTITIONS_SHOWN]),
    }


def sizes_plot(before: Sequence[LakeFile], after: Sequence[LakeFile]) -> dg.MetadataValue:
    """Number of data files by size, before and after."""
    labels = [label for label, _ in _SIZES]
    series = {"before": _by_size(before), "after": _by_size(after)}
    return plots.bars("Data files by size", labels, series, "files")


def _by_size(files: Sequence[LakeFile]) -> list[float]:
    counts = [0.0] * len(_SIZES)
    for file in files:
        if not file.deletes:
            counts[next(n for n, (_, top) in enumerate(_SIZES) if file.bytes < top)] += 1
    return counts


def _table(before: LakeFiles, after: LakeFiles) -> dict[str, int | float]:
    return {
        "files_before": len(before.files),
        "files": len(after.files),
        "bytes_before": before.bytes,
        "bytes": after.bytes,
        "mean_file_bytes_before": before.bytes / max(len(before.files), 1),
        "mean_file_bytes": after.bytes / max(len(after.files), 1),
        "dagster/row_count": after.rows,
    }


def _statements(statements: Sequence[Statement]) -> dict[str, int | float]:
    return {
        "trino_wall_s": sum(one.elapsed_s for one in statements),
        "trino_cpu_s": sum(one.cpu_s for one in statements),
        "trino_bytes_read": sum(one.bytes_read for one in statements),
        "trino_bytes_written": sum(one.bytes_written for one in statements),
        "trino_peak_memory_bytes": max((one.peak_memory_bytes for one in statements), default=0),
    }


def _partitions(
    before: LakeFiles, after: LakeFiles, units: Sequence[Compacted]
) -> dg.MetadataValue:
    took: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in units:
        took[one.unit.label][0] += 1
        took[one.unit.label][1] += one.statement.elapsed_s
    then = {one.label: one for one in before.partitions()}
    now = {one.label: one for one in after.partitions()}
    rows = [
        (
            label,
            len(then[label].data) if label in then else 0,
            len(now[label].data) if label in now else 0,
            now[label].bytes // max(len(now[label].data), 1) if label in now else 0,
            int(count),
            seconds,
        )
        for label, (count, seconds) in sorted(took.items())
    ]
    headers = ("partition", "files before", "files", "mean bytes", "units", "seconds")
    return markdown_table(headers, rows[:_PARTITIONS_SHOWN])


def _p99_plot(costs: Sequence[Cost]) -> dg.MetadataValue:
    x: list[float] = []
    at = 0.0
    for cost in costs:
        at += cost.waited_s + cost.seconds
        x.append(at)
    stretches = {
        name: [_known(cost.by_stretch()[name].p99_s) for cost in costs]
        for name in ("before", "during", "after")
    }
    return plots.lines("Hot p99 around each unit", x, stretches, "seconds", x_label="seconds")


def _known(value: float | None) -> float:
    return math.nan if value is None else value
