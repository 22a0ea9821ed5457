"""Retention of the hot table: a day is dropped when it is old, proven, and the lake holds it.

Everything that cannot be shown at the moment of dropping keeps the day, with the reason. With
several lanes the day must be closed, proven and in the lake in each of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date

from clickhouse_connect.driver.client import Client

from ingest.contract import Contract
from ingest.hot_entry import peek_entry
from ingest.kept import open_bucket
from ingest.ledger import LedgerEntry
from ingest.proof.facts import Facts, OpenLake, gathered
from ingest.proof.iceberg_side import NAME as LAKE
from ingest.proof.plan import by_version
from ingest.proof.side import Segment
from ingest.proof.sums import total
from ingest.ranges import describe, subtract
from ingest.settings import Settings
from pipelines.lanes import Lane, lanes_of, named
from pipelines.rehydration_record import RehydrationRecords
from pipelines.storage_days import (
    DAY_US,
    HotDay,
    Stretch,
    bounds_us,
    drop,
    moment,
    still_written,
    stretches,
)


@dataclass(frozen=True)
class Verdict:
    """What became of a day, or would in a dry run; ``why`` in one sentence."""

    day: HotDay
    dropped: bool
    why: str


def too_young(day: date, retention_days: int, now_us: int) -> str | None:
    """Why the day's age keeps it, None when all of it is older than the retention.

    The same clock as the writer's own rule: a row is aged out ``retention_days`` times 24 hours
    after it was stored.
    """
    if not retention_days:
        return "hot.retention_days (IOT_HOT__RETENTION_DAYS) is 0: every day is kept"
    age_days = (now_us - bounds_us(day)[1]) / DAY_US
    if age_days < retention_days:
        return f"its newest rows may be {max(age_days, 0):.1f} days old; {retention_days} are kept"
    return None


def retire(
    settings: Settings,
    client: Client,
    contract: Contract,
    day: HotDay,
    open_lake: OpenLake,
    *,
    dry_run: bool,
) -> Verdict:
    """Drops the day's partition if everything speaks for it, and says why or why not.

    Raises StreamUnavailableError, SinkUnavailableError, TrinoUnavailable and what else the sides
    of the proof raise; the day is then as it was.
    """
    now_us = time.time_ns() // 1000
    lanes = lanes_of(settings, contract)
    why = too_young(day.day, settings.hot.retention_days, now_us)
    if why is None:
        why = _rehydrated(lanes, day.day, now_us)
    if why is None:
        why = asyncio.run(_objection(lanes, client, day.day, open_lake, now_us))
    if why is not None:
        return Verdict(day, dropped=False, why=why)
    if not dry_run:
        drop(client, contract, day.day)
    return Verdict(day, dropped=True, why="older than the retention, proven, and in the lake")


def _rehydrated(lanes: Iterable[Lane], day: date, now_us: int) -> str | None:
    for one in lanes:
        record, _ = RehydrationRecords(one.settings, one.name).read(day)
        if record is None:
            continue
        if record.pending:
            return "a rehydration of it is under way, or was stopped half-way"
        if record.kept_until_us > now_us:
            until = f"{moment(record.kept_until_us):%Y-%m-%d %H:%M}"
            return f"it was rehydrated and is kept until {until}"
    return None


async def _objection(
    lanes: Sequence[Lane], client: Client, day: date, open_lake: OpenLake, now_us: int
) -> str | None:
    """What speaks against dropping the day in any of the lanes, the cheapest questions first."""
    several = len(lanes) > 1
    async with _facts_of(lanes, open_lake) as by_lane:
        for lane, facts in by_lane.items():
            why = await _still_written(facts, day, now_us)
            if why is not None:
                return named({lane: why}, several=several)
        held = await asyncio.to_thread(stretches, client, lanes[0].contract, day)
        cutoff_us = now_us - lanes[0].settings.hot.retention_days * DAY_US
        for one in held:
            why = not_vouched_for(by_lane, one, cutoff_us)
            if why is not None:
                return named({one.lane: why}, several=several)
        for one in held:
            why = await _not_in_lake(by_lane[one.lane], one, day)
            if why is not None:
                return named({one.lane: why}, several=several)
    return None


@asynccontextmanager
async def _facts_of(lanes: Iterable[Lane], open_lake: OpenLake) -> AsyncIterator[dict[str, Facts]]:
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(
                gathered(one.settings, full=False, every_entry=True, open_lake=open_lake)
            )
            for one in lanes
        ]
        yield {facts.lane: facts for facts in opened}


async def _still_written(facts: Facts, day: date, now_us: int) -> str | None:
    entry = await peek_entry(await open_bucket(facts.link), facts.lane)
    if entry is None and not facts.state.last_seq and facts.settings.lanes.count > 1:
        return None  # what comes into a lane that never had a message is stored today
    pending = entry is not None and entry.pending is not None
    last = facts.state.last_seq
    return still_written(day, facts.hot_done, pending=pending, last_seq=last, now_us=now_us)


def not_vouched_for(by_lane: Mapping[str, Facts], stretch: Stretch, cutoff_us: int) -> str | None:
    """Why the ledger of the rows' own lane does not vouch for them, None when it does.

    An entry that reaches into days that are still kept keeps this one too: a later proof holds
    the hot table against whole entries.
    """
    if stretch.lane not in by_lane:
        return f"it holds rows of lane {stretch.lane}, which this contract's proof does not cover"
    where = f"{stretch.range} of epoch {stretch.epoch}"
    covering = _covering(by_lane[stretch.lane].entries, stretch)
    gaps = subtract(stretch.range, [one.range for one in covering])
    if gaps:
        return f"sequences {describe(gaps)} of epoch {stretch.epoch} are not proven yet"
    for one in covering:
        if one.unproven or one.losses or LAKE not in one.compared:
            told = "; ".join((*one.unproven, *one.losses)) or "the lake was not compared"
            return f"{one.range} of {where} is on record as unproven: {told}"
        if one.last_stored_at_us >= cutoff_us:
            until = f"{moment(one.last_stored_at_us):%Y-%m-%d %H:%M}"
            return f"it was proven together with readings up to {until}, which are not old enough"
    return None


async def _not_in_lake(facts: Facts, stretch: Stretch, day: date) -> str | None:
    """The lake's and the hot table's own sums over the stretch, which must be equal."""
    first_us, end_us = bounds_us(day)
    epoch = next((one for one in facts.registry.record.epochs if one.id == stretch.epoch), None)
    if epoch is None:
        return f"it holds rows of epoch {stretch.epoch}, which the registry does not know"
    for one in by_version(facts.registry, epoch, stretch.range):
        segment = Segment(one.epoch, one.version, one.range, (first_us, end_us - 1))
        hot = await asyncio.to_thread(facts.hot.sums, segment)
        lake = await asyncio.to_thread(facts.lake.sums, segment)
        if hot != lake:
            return (
                f"the lake differs in {segment}: {total(lake).rows:,} rows there,"
                f" {total(hot).rows:,} in the hot table; run `ingest verify --full`"
            )
    return None


def _covering(entries: Iterable[LedgerEntry], stretch: Stretch) -> list[LedgerEntry]:
    return [
        one
        for one in entries
        if one.epoch == stretch.epoch and one.range.overlap(stretch.range) is not None
    ]
