"""Figures of what is made from the tables, as metadata: numbers, tables, plots."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from pipelines.cost import Cost
from pipelines.daily_summary import Summary
from pipelines.hot_retention import Verdict
from pipelines.last_seen import LastSeen
from pipelines.rehydrate import Rehydrated
from pipelines.report import plots
from pipelines.report.costs import costs_of
from pipelines.report.tables import markdown_table
from pipelines.storage_days import moment

Metadata = dict[str, int | float | str | dg.MetadataValue]
_DAYS_SHOWN = 60
SILENT = "silent_devices"
"""Metadata of last seen: Unix time of the last message by silent device."""
SILENT_KEPT = 300


def of_summary(done: Summary, groups: Sequence[str], cost: Cost) -> Metadata:
    """One day's summary: numbers, readings by hour, groups with the most late readings."""
    hours = [done.hours.get(hour, 0) for hour in range(24)]
    headers = (*groups, "readings", "least", "mean", "most", "late share")
    return {
        "dagster/partition_row_count": done.rows,
        "readings": done.readings,
        "readings_before": done.before,
        "late": done.late,
        "late_share": done.late / max(done.readings, 1),
        "lake_snapshot": str(done.source.snapshot_id),
        "summarised_upto": done.source.sequence,
        "epoch": done.source.epoch,
        "trino_wall_s": done.elapsed_s,
        "trino_cpu_s": done.cpu_s,
        "trino_bytes_read": done.bytes_read,
        **costs_of([cost]),
        "readings by hour": plots.bars(
            f"Readings by hour of {done.day}, UTC",
            [str(hour) if hour % 3 == 0 else "" for hour in range(24)],
            {"readings": [float(one) for one in hours]},
            "readings",
        ),
        "most late": markdown_table(headers, done.most_late),
    }


def of_retention(verdicts: Sequence[Verdict], costs: Sequence[Cost]) -> Metadata:
    """What became of each day, the newest first."""
    dropped = [one.day for one in verdicts if one.dropped]
    kept = [one.day for one in verdicts if not one.dropped]
    rows = [
        (
            *(str(one.day.day), "dropped" if one.dropped else "kept"),
            *(one.day.rows, one.day.bytes, one.why),
        )
        for one in sorted(verdicts, key=lambda one: one.day.day, reverse=True)
    ]
    return {
        "days_dropped": len(dropped),
        "days_kept": len(kept),
        "rows_dropped": sum(one.rows for one in dropped),
        "bytes_dropped": sum(one.bytes for one in dropped),
        "dagster/row_count": sum(one.rows for one in kept),
        "bytes": sum(one.bytes for one in kept),
        **costs_of(costs),
        "days": markdown_table(("day", "", "rows", "bytes", "why"), rows[:_DAYS_SHOWN]),
    }


def of_rehydration(done: Rehydrated) -> Metadata:
    """What one day took to bring back, with several lanes also by lane."""
    by_lane = {
        f"{name}/{lane}": count
        for lane, counts in done.lanes.items()
        for name, count in zip(("rows", "rows_inserted"), counts, strict=True)
    }
    return {
        **(by_lane if len(done.lanes) > 1 else {}),
        "dagster/partition_row_count": done.rows,
        "rows_inserted": done.inserted,
        "blocks": done.blocks,
        "lake_files": done.files,
        "lake_snapshot": str(done.snapshot_id),
        "proven_ranges": done.proven,
        "settled_s": done.waited_s,
        "kept_until": f"{moment(done.kept_until_us):%Y-%m-%d %H:%M} UTC",
        **costs_of(done.costs),
    }


def of_last_seen(seen: LastSeen) -> Metadata:
    """Devices heard and silent; `silent_devices` is what alerts are made from."""
    told = seen.silent[:SILENT_KEPT]
    rows = [
        (
            one.device.name,
            _time(one.device.last_s),
            round(one.quiet_s),
            round(one.device.interval_s or 0),
            round(one.allowed_s),
        )
        for one in told[:_DAYS_SHOWN]
    ]
    newest = [(one.name, _time(one.last_s), one.readings) for one in seen.devices[:20]]
    return {
        "devices": len(seen.devices),
        "silent": len(seen.silent),
        "as_of": _time(seen.as_of_s),
        SILENT: dg.MetadataValue.json({one.device.name: one.device.last_s for one in told}),
        "silent for longest": markdown_table(
            ("device", "last heard", "quiet s", "usual interval s", "allowed s"), rows
        ),
        "heard last": markdown_table(("device", "last heard", "readings"), newest),
    }


def _time(seconds: float) -> str:
    return f"{moment(round(seconds * 1e6)):%Y-%m-%d %H:%M:%S} UTC"
