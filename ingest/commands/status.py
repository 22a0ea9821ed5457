"""`ingest status`: watermarks, lag, freshness and time left, at one look."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import click

from ingest.commands.options import (
    contract_option,
    lane_option,
    of_lanes,
    output_option,
    print_json,
    settings_for,
)
from ingest.errors import EXIT_FAILED
from ingest.logs import configure
from ingest.settings import Settings
from ingest.status_record import LaneStatus, PathStatus, TableStatus

MINUTE, HOUR, DAY = 60, 3600, 86400
KIB = 1024


@click.command("status")
@contract_option
@lane_option
@output_option
def command(*, contract: str | None, lane: int | None, output: str) -> int:
    """Show each lane: stream, both paths, dead letters, the last proof.

    "dropped in" is the time until unread messages would be dropped if that path stopped now, by
    the stream's limits and its recent rate. Ages are by the stream's time. Exit code 1 when a part
    could not be asked; the others are shown all the same.
    """
    from ingest.lanes import each_lane
    from ingest.status import lane_status

    settings: Settings = settings_for(contract, lane)
    configure(settings.log)
    found = [asyncio.run(lane_status(one)) for one in each_lane(settings)]
    if output == "json":
        print_json(of_lanes([status.as_dict() for status in found]))
    else:
        click.echo("\n\n".join("\n".join(_lines(status)) for status in found))
    return EXIT_FAILED if any(status.problems for status in found) else 0


def _lines(status: LaneStatus) -> Iterator[str]:
    yield f"lane {status.lane}, contract {status.contract}"
    if status.stream is not None:
        stream = status.stream
        full = "" if stream.discard == "old" else f", full in {_duration(stream.full_in_s)}"
        limit = _size(stream.max_bytes) if stream.max_bytes > 0 else "any size"
        yield (
            f"stream      {stream.first_seq} to {stream.last_seq}, {stream.messages} messages,"
            f" {_size(stream.bytes)} of {limit}, {stream.rate:.0f}/s{full}"
        )
    yield from _path("hot", status.hot)
    yield from _path("lake", status.lake)
    yield from _table("ClickHouse", "parts", status.clickhouse)
    yield from _table("Iceberg", "files", status.iceberg)
    if status.dlq is not None:
        dlq = status.dlq
        told = ", ".join(f"{count} {reason}" for reason, count in dlq.reasons.items())
        newest = "" if dlq.complete else " among the newest"
        yield (
            f"DLQ         {dlq.entries} entries, {_size(dlq.bytes)} of {_size(dlq.max_bytes)};"
            f" open here: {told or 'none'}{newest}"
        )
    if status.verified is not None:
        yield (
            f"verified    to {status.verified.last} of epoch {status.verified.epoch},"
            f" {_duration(status.verified.age_s)} ago"
        )
    for part, problem in status.problems.items():
        yield f"PROBLEM     {part}: {problem}"


def _path(name: str, path: PathStatus | None) -> Iterator[str]:
    if path is None:
        return
    lag = "?" if path.lag_messages is None else str(path.lag_messages)
    lost = f", {path.dropped_unread} DROPPED UNREAD" if path.dropped_unread else ""
    pending = f", pending {path.pending}" if path.pending else ""
    fresh = "no row yet" if path.freshness_s is None else f"newest row {path.freshness_s:.1f} s old"
    yield (
        f"{name:<11} at {path.position}, lag {lag}{lost}{pending}, {fresh},"
        f" dropped in {_duration(path.dropped_in_s)}"
    )
    fence = f"fence {path.fence} of {path.fence_writer}" if path.fence else "never ran"
    yield f"{'':<11} writer {path.lease_holder or 'none'}, {fence}"


def _table(name: str, files: str, table: TableStatus | None) -> Iterator[str]:
    if table is not None:
        yield (
            f"{name:<11} {table.name}: {table.rows} rows, {table.files} {files},"
            f" {_size(table.bytes)}"
        )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds == float("inf"):
        return "never"
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:.1f} d"
    if seconds >= 2 * HOUR:
        return f"{seconds / HOUR:.1f} h"
    if seconds >= 2 * MINUTE:
        return f"{seconds / MINUTE:.1f} min"
    return f"{seconds:.0f} s"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < KIB:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KIB
    return f"{count:.1f} TiB"
