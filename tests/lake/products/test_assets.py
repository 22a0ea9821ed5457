"""The products as Dagster runs them, over the real platform with Trino."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from ingest.verify import Report, VerifyOptions, verify
from pipelines.defs.hot.assets import RetentionConfig, rehydration, retention
from pipelines.defs.products.assets import daily_summary
from pipelines.defs.products.sensors import daily_sensor
from pipelines.resources.guard import BudgetGuard
from pipelines.settings import MaintenanceSettings
from tests.integration.pipelines.later import set_clock
from tests.integration.proof.scenario import MESSAGES, NoProgress, payloads, provision, store
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane, reading

pytestmark = pytest.mark.timeout(600)
TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
QUICK = {
    "IOT_BUDGET__SAMPLE_EVERY_S": "0.1",
    "IOT_BUDGET__LEARN_S": "0.5",
    "IOT_BUDGET__QUIET_S": "0.2",
    "IOT_BUDGET__REST_S": "0",
    "IOT_BUDGET__HOT_LAG_MAX_S": "20",
    "IOT_BUDGET__P99_LEAST_SLACK_S": "20",
    "IOT_BUDGET__P99_MAX_S": "60",
    "IOT_BUDGET__STALE_AFTER_S": "10",
    "IOT_BUDGET__CPU_BUSY_MAX": "2",
    "IOT_MAINTENANCE__GIVE_UP_AFTER_S": "60",
}


def resources(lane: TestLane) -> dict[str, object]:
    """What the code location binds, for the lane."""
    lakehouse = lakehouse_of(lane, **QUICK)
    return {"lakehouse": lakehouse, "guard": BudgetGuard(lakehouse=lakehouse)}


def run(
    lane: TestLane, asset: dg.AssetsDefinition, partition: str | None = None, **more: Any
) -> dict[str, Any]:
    """Materialises the asset; its metadata, {} when it left its work for later."""
    result = dg.materialize([asset], resources=resources(lane), partition_key=partition, **more)
    assert result.success
    events = result.get_asset_materialization_events()
    if not events:
        return {}
    metadata = events[0].step_materialization_data.materialization.metadata
    return {name: one.value for name, one in metadata.items()}


def ask(lane: TestLane, **variables: str) -> dg.SensorResult | dg.SkipReason:
    """One tick of the sensor that looks for days out of date."""
    job = dg.define_asset_job("summarise", selection="*")
    settings = MaintenanceSettings()
    lakehouse = lakehouse_of(lane, **variables)
    context = dg.build_sensor_context(resources={"lakehouse": lakehouse})
    result = daily_sensor(scope_of(lane), job, settings)(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def days(result: dg.SensorResult | dg.SkipReason) -> list[str | None]:
    """The partitions asked for."""
    assert isinstance(result, dg.SensorResult)
    return [one.partition_key for one in result.run_requests or []]


def prove(lane: TestLane) -> Report:
    """A full proof of the lane."""
    return asyncio.run(verify(lane.settings, VerifyOptions(full=True), NoProgress()))


def test_days_are_asked_for_until_they_are_summarised(lake_lane: TestLane) -> None:
    """The sensor asks for a new day, not for a finished one, and again when data comes late."""
    lane = lake_lane
    lane.init()
    lane.start("hot")
    lane.start("lake")
    noon = f"{YESTERDAY}T12:00:00Z"
    lane.publish([reading(n, ts=noon) for n in range(5)])
    lane.wait_lake(5)
    lane.wait_hot(5)
    asset = daily_summary(scope_of(lane), date(2025, 1, 1))

    first = ask(lane)
    assert days(first) == [str(YESTERDAY)]
    metadata = run(lane, asset, str(YESTERDAY))
    assert (metadata["readings"], metadata["readings_before"]) == (5, 0)
    assert metadata["dagster/partition_row_count"] == 5
    assert metadata["late_share"] == 1.0
    assert "data:image/png" in metadata["readings by hour"]
    done = ask(lane)
    assert isinstance(done, dg.SkipReason)
    assert "counts what the lake holds" in str(done.skip_message)

    lane.publish([reading(9, ts=noon)])
    lane.wait_lake(6)
    lane.wait_hot(6)
    again = ask(lane)

    assert days(again) == [str(YESTERDAY)]
    assert isinstance(first, dg.SensorResult)
    assert isinstance(again, dg.SensorResult)
    keys = [one.run_key for result in (first, again) for one in result.run_requests or []]
    assert len(set(keys)) == 2
    assert run(lane, asset, str(YESTERDAY))["readings"] == 6


def test_with_trino_away_the_sensor_says_so(lake_lane: TestLane) -> None:
    """A look that cannot be taken is a reason, not an error; the next one sees the same days."""
    lane = lake_lane
    lane.init()
    lane.start("lake")
    lane.publish([reading(1)])
    lane.wait_lake(1)

    told = ask(lane, IOT_TRINO__URL="http://iot@127.0.0.1:1")

    assert isinstance(told, dg.SkipReason)
    assert "Trino at" in str(told.skip_message)


def test_a_day_leaves_and_comes_back(lake_lane: TestLane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropped by retention after the lake was asked through Trino, brought back, kept, proven."""
    lane = lake_lane
    lane.overrides["IOT_HOT__RETENTION_DAYS"] = "2"
    provision(lane)
    lane.publish(payloads())
    store(lane, MESSAGES)
    assert prove(lane).proven
    day = datetime.fromtimestamp(lane.hot_entry().done.stored_at_us / 1e6, UTC).date()  # type: ignore[union-attr]
    asset = retention(scope_of(lane))

    young = run(lane, asset)
    assert (young["days_dropped"], young["days_kept"]) == (0, 1)
    assert "2 are kept" in young["days"]

    set_clock(monkeypatch)
    config = dg.RunConfig(ops={asset.node_def.name: RetentionConfig(dry_run=True)})
    assert run(lane, asset, run_config=config) == {}
    assert len(lane.hot_rows()) == MESSAGES - 1

    old = run(lane, asset)
    assert (old["days_dropped"], old["rows_dropped"]) == (1, MESSAGES - 1)
    assert lane.hot_rows() == []
    assert prove(lane).proven

    back = run(lane, rehydration(scope_of(lane), date(2025, 1, 1)), str(day))
    assert (back["rows_inserted"], back["proven_ranges"]) == (MESSAGES - 1, 1)
    assert len(lane.hot_rows()) == len(set(lane.hot_rows())) == MESSAGES - 1
    kept = run(lane, asset)
    assert kept["days_dropped"] == 0
    assert "rehydrated" in kept["days"]


def test_a_day_without_rows_is_brought_back_as_nothing(lake_lane: TestLane) -> None:
    """An empty day of the lake is no failure and inserts nothing."""
    lane = lake_lane
    provision(lane)
    lane.publish(payloads())
    store(lane, MESSAGES)

    result = dg.materialize(
        [rehydration(scope_of(lane), date(2025, 1, 1))],
        resources=resources(lane),
        partition_key=str(YESTERDAY),
        raise_on_error=False,
    )

    assert result.success
    (event,) = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    assert metadata["dagster/partition_row_count"].value == 0
