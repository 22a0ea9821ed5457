"""The look at a lane's watermarks that brings the external assets to life."""

from __future__ import annotations

import asyncio
import time

import dagster as dg
import msgspec

from ingest.errors import IngestError
from ingest.nats_link import NatsLink
from ingest.status import lane_status
from ingest.status_record import LaneStatus
from pipelines.lanes import Lane
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.watermarks import (
    DEAD_LETTERS,
    HOT,
    LAKE,
    STREAM,
    LaneAges,
    Memory,
    Progress,
    impatient,
    lane_ages,
    progress,
    remember,
)
from pipelines.watermarks_lanes import memory_for, memory_of, together

_WORDS = {STREAM: "stream", HOT: "hot table", LAKE: "lake table", DEAD_LETTERS: "dead letters"}


def watermark_sensor(scope: Scope, every_s: int) -> dg.SensorDefinition:
    """Reports a materialisation where a watermark moved, an observation where one lags.

    A system that is away hides no other: what could not be asked is told as an observation.
    """
    keys = {
        STREAM: scope.stream,
        HOT: scope.hot_table,
        LAKE: scope.lake_table,
        DEAD_LETTERS: scope.dead_letters,
    }

    @dg.sensor(
        name=f"watermarks_{scope.name}",
        description=f"Watermarks, lag and sizes of {scope.lane}, as events of its assets.",
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def watermarks(context: dg.SensorEvaluationContext, lakehouse: Lakehouse) -> dg.SensorResult:
        before = _memory(context.cursor)
        now = time.time()
        by_lane = _look(lakehouse.lanes(scope), lakehouse, before, now)
        found = together(by_lane)
        for one in found:
            if one.problem:
                context.log.warning("%s: %s", _WORDS[one.part], one.problem)
        cursor = msgspec.json.encode(_remembered(by_lane, before, now)).decode()
        events = [event for one in found for event in _events(one, keys[one.part])]
        moved = any(isinstance(one, dg.AssetMaterialization) for one in events)
        told = "; ".join(_told(one) for one in found)
        # A look that starts no run is a skipped one to Dagster, whatever it reported.
        return dg.SensorResult(
            asset_events=events,
            cursor=cursor,
            skip_reason=f"{'reported' if moved else 'nothing moved'}: {told}",
        )

    return watermarks


def _look(
    lanes: list[Lane], lakehouse: Lakehouse, before: Memory, now: float
) -> dict[str, list[Progress]]:
    """Every lane's parts, compared with what was seen of them before."""

    async def all_lanes() -> list[LaneStatus]:
        return await asyncio.gather(*(lane_status(impatient(one.settings)) for one in lanes))

    statuses = asyncio.run(all_lanes())
    ages = [LaneAges() for _ in lanes]

    async def ask(link: NatsLink) -> None:
        for place, (lane, status) in enumerate(zip(lanes, statuses, strict=True)):
            ages[place] = await lane_ages(link, lane.contract, status)

    if not any("NATS" in one.problems for one in statuses):
        try:
            lakehouse.nats(ask)
        except IngestError as error:
            for one in statuses:
                one.problems.setdefault("NATS", str(error))
    first = lanes[0].name
    return {
        lane.name: progress(status, age, memory_of(before, lane.name, first), now)
        for lane, status, age in zip(lanes, statuses, ages, strict=True)
    }


def _remembered(by_lane: dict[str, list[Progress]], before: Memory, now: float) -> Memory:
    first = next(iter(by_lane))
    memory: Memory = {}
    for lane, found in by_lane.items():
        seen = remember(found, memory_of(before, lane, first), now)
        memory |= memory_for(seen, lane, first)
    return memory


def _told(one: Progress) -> str:
    if one.position is None:
        return f"{_WORDS[one.part]}: {one.problem}"
    lag = f", {one.lag_messages:,} behind" if one.lag_messages else ""
    return f"{_WORDS[one.part]} at {one.position:,}{lag}"


def _memory(cursor: str | None) -> Memory:
    """What the last look saw; a cursor of another version counts as none."""
    try:
        return msgspec.json.decode(cursor or "{}", type=Memory)
    except msgspec.DecodeError:
        return {}


def _events(one: Progress, key: dg.AssetKey) -> list[dg.AssetMaterialization | dg.AssetObservation]:
    metadata: dict[str, int | float | str] = dict(one.figures)
    if one.problem:
        metadata["problem"] = one.problem
    if one.moved or one.current:
        description = "moved" if one.moved else "holds everything that the stream holds"
        return [dg.AssetMaterialization(key, description=description, metadata=metadata)]
    if one.problem or one.lag_messages:
        return [dg.AssetObservation(key, description=one.problem or "lags", metadata=metadata)]
    return []
