"""The watermark sensor on a real platform: events where something moved, reasons where not."""

from __future__ import annotations

import signal
import time
from typing import Any

import dagster as dg
import pytest

from pipelines.defs.stream.sensors import watermark_sensor
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane

pytestmark = pytest.mark.timeout(180)


def evaluate(lane: TestLane, cursor: str | None = None) -> dg.SensorResult:
    """One tick of the sensor."""
    resources = {"lakehouse": lakehouse_of(lane)}
    context = dg.build_sensor_context(cursor=cursor, resources=resources)
    result = watermark_sensor(scope_of(lane), 30)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def materialised(result: dg.SensorResult) -> dict[str, dict[str, Any]]:
    """Metadata of the materialisations by the first part of the key."""
    return {
        event.asset_key.path[0]: {name: one.value for name, one in event.metadata.items()}
        for event in result.asset_events or []
        if isinstance(event, dg.AssetMaterialization)
    }


def observed(result: dg.SensorResult) -> dict[str, dict[str, Any]]:
    """Metadata of the observations by the first part of the key."""
    return {
        event.asset_key.path[0]: {name: one.value for name, one in event.metadata.items()}
        for event in result.asset_events or []
        if isinstance(event, dg.AssetObservation)
    }


def test_moved_watermarks_are_materialisations_with_numbers(lane: TestLane) -> None:
    """Stream and both tables are reported with watermark, lag, rows, files, bytes and ages."""
    lane.init()
    lane.start("hot")
    lane.start("lake")
    lane.publish(lane.readings(50))
    lane.wait_hot(50)
    lane.wait_lake(50)

    result = evaluate(lane)

    events = materialised(result)
    assert events["nats"]["watermark"] == 50
    for kind, files in (("clickhouse", "parts"), ("iceberg", "files")):
        figures = events[kind]
        assert (figures["watermark"], figures["lag_messages"]) == (50, 0)
        assert figures["dagster/row_count"] == 50
        assert figures[files] >= 1
        assert figures["bytes"] > 0
        assert figures["epochs"] == 1
        assert 0 <= figures["freshness_stored_s"] < 120
        assert 0 <= figures["freshness_event_s"] < 120

    again = evaluate(lane, result.cursor)
    assert not again.asset_events
    assert "hot table at 50" in str(again.skip_reason)


@pytest.mark.chaos
def test_a_path_that_stands_still_lags_by_numbers(lane: TestLane) -> None:
    """The lake that is not read for is observed with its lag while the hot table goes on."""
    lane.init()
    hot = lane.start("hot")
    lake = lane.start("lake")
    lane.publish(lane.readings(10))
    lane.wait_hot(10)
    lane.wait_lake(10)
    lake.drain()
    first = evaluate(lane)
    lane.publish(lane.readings(30, start=10))
    lane.wait_hot(40)

    result = evaluate(lane, first.cursor)

    assert materialised(result)["clickhouse"]["watermark"] == 40
    assert materialised(result)["clickhouse"]["rate_per_s"] > 0
    lagging = observed(result)["iceberg"]
    assert (lagging["watermark"], lagging["lag_messages"]) == (10, 30)
    assert lagging["lag_s"] >= 0
    assert hot.drain() == 0


def test_refused_messages_materialise_the_dead_letters(lane: TestLane) -> None:
    """A refused message moves the dead letters, by reason."""
    lane.init()
    lane.start("hot")
    lane.publish([*lane.readings(3), b"not json"])
    lane.wait_hot(4)

    result = evaluate(lane)

    letters = [e for e in result.asset_events or [] if e.asset_key.path[-1] == "dead_letters"]
    assert [one.metadata["open"].value for one in letters] == [1]
    assert any(name.startswith("reason/") for name in letters[0].metadata)


@pytest.mark.chaos
def test_one_system_away_hides_no_other(own_lane: TestLane) -> None:
    """With ClickHouse gone the lake is still reported, and the hot table says what is wrong."""
    own_lane.init()
    own_lane.start("hot")
    own_lane.start("lake")
    own_lane.publish(own_lane.readings(5))
    own_lane.wait_hot(5)
    own_lane.wait_lake(5)
    own_lane.stack.kill("clickhouse")

    started = time.monotonic()
    result = evaluate(own_lane)

    assert time.monotonic() - started < 45  # Dagster's own limit of a look is 60 s
    assert materialised(result)["iceberg"]["watermark"] == 5
    assert "ClickHouse" in str(materialised(result)["clickhouse"]["problem"])

    own_lane.stack.kill("nats")
    later = evaluate(own_lane, result.cursor)
    assert "NATS" in str(observed(later)["nats"]["problem"])


@pytest.mark.chaos
@pytest.mark.parametrize("service", ["clickhouse", "seaweedfs", "nats"])
def test_a_system_that_hangs_is_waited_for_briefly(own_lane: TestLane, service: str) -> None:
    """A server that takes connections and never answers costs seconds, and is named."""
    own_lane.init()
    own_lane.stack.signal(service, signal.SIGSTOP)
    try:
        started = time.monotonic()
        result = evaluate(own_lane)
        assert time.monotonic() - started < 50  # Dagster's own limit of a look is 60 s
    finally:
        own_lane.stack.signal(service, signal.SIGCONT)

    told = " ".join(str(one.get("problem", "")) for one in observed(result).values())
    assert {"clickhouse": "ClickHouse", "seaweedfs": "Iceberg", "nats": "NATS"}[service] in told


def test_a_lane_without_data_is_skipped(lane: TestLane) -> None:
    """Nothing is materialised before the first reading."""
    lane.init()
    result = evaluate(lane)
    assert not materialised(result)
