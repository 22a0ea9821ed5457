"""Figures of the dead-letter queue as metadata: counts, examples, a plot by hour."""

from __future__ import annotations

from collections import Counter

import dagster as dg

from pipelines.dlq_report import HOURS, DeadLetterReport
from pipelines.report import plots
from pipelines.report.products import Metadata
from pipelines.report.tables import markdown_table


def of_dead_letters(found: DeadLetterReport) -> Metadata:
    """Counts by reason, subject and device, examples, refusals by hour; by lane if several."""
    several = len(found.by_lane) > 1
    hours = [str(n - HOURS + 1) if (HOURS - 1 - n) % 8 == 0 else "" for n in range(HOURS)]
    examples = markdown_table(
        (*(("lane",) if several else ()), "sequence", "reason", "detail", "subject", "payload"),
        [
            (
                *((one.lane,) if several else ()),
                *(one.sequence, one.reason, one.detail, one.subject, one.payload),
            )
            for one in found.examples
        ],
    )
    metadata: Metadata = {
        "open": found.open,
        "complete": int(found.complete),
        "bytes": found.bytes,
        "refused_last_24_h": found.last_day,
        "refused_24_h_before": found.day_before,
        "growth": found.last_day - found.day_before,
        "refused_per_h": found.last_day / 24,
        "by reason": _counts("reason", found.by_reason),
        "by subject": _counts("subject", found.by_subject),
        f"by device (newest {found.read})": _counts("device", found.by_device),
        "by contract version": _counts("version", found.by_version),
        "examples": examples,
    }
    if several:
        metadata["by lane"] = _counts("lane", found.by_lane)
        metadata |= {f"open/{lane}": count for lane, count in found.by_lane.items()}
    if found.newest_ago_s is not None:
        metadata["newest_ago_s"] = found.newest_ago_s
        series = {"refused": [float(one) for one in found.by_hour]}
        metadata["refused by hour"] = plots.bars(
            "Refused messages by hour", hours, series, "messages"
        )
    return metadata


def _counts(name: str, counted: Counter[str] | Counter[int]) -> dg.MetadataValue:
    rows = [(str(value), count) for value, count in counted.most_common(20)]
    return markdown_table((name, "entries"), rows)
