"""The alert sensor over Dagster's own records: failed runs, red checks, silence, recovery."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest

from ingest.nats_link import NatsLink
from pipelines.defs.alerts.sensors import alert_sensor
from pipelines.report.products import SILENT
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane


@dataclass
class World:
    """A lane's assets that do what they are told, a Dagster instance, and the sensor."""

    lane: TestLane
    instance: dg.DagsterInstance
    healthy: bool = True
    green: bool = True
    silent: dict[str, float] = field(default_factory=dict)
    cursor: str | None = None

    @property
    def definitions(self) -> dg.Definitions:
        """The lane's assets, a check, a job."""
        scope = scope_of(self.lane)

        @dg.asset(key=scope.of_lake_table("compaction"))
        def compaction() -> None:
            if not self.healthy:
                raise dg.Failure("Trino at 127.0.0.1 does not answer", allow_retries=False)

        @dg.asset(key=scope.of_hot_table("last_seen"))
        def last_seen() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult(metadata={SILENT: dg.MetadataValue.json(self.silent)})

        @dg.asset_check(asset=scope.of_lake_table("compaction"), name="fresh")
        def fresh() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(
                passed=self.green, description="lag 90 s > 60 s", metadata={"lag_s": 90.0}
            )

        job = dg.define_asset_job(
            f"compact_{scope.name}",
            selection=dg.AssetSelection.assets(compaction).without_checks(),
        )
        return dg.Definitions([compaction, last_seen], asset_checks=[fresh], jobs=[job])

    def run(self, what: str) -> None:
        """Runs the job, the check or the look for silence."""
        scope = scope_of(self.lane)
        defs = self.definitions
        selections = {
            "check": dg.AssetSelection.checks_for_assets(scope.of_lake_table("compaction")),
            "last_seen": dg.AssetSelection.assets(scope.of_hot_table("last_seen")),
        }
        if what == "job":
            job = defs.resolve_job_def(f"compact_{scope.name}")
            job.execute_in_process(instance=self.instance, raise_on_error=False)
        else:
            named = dg.define_asset_job(f"{what}_{scope.name}", selection=selections[what])
            whole = dg.Definitions(assets=defs.assets, asset_checks=defs.asset_checks, jobs=[named])
            whole.resolve_job_def(named.name).execute_in_process(instance=self.instance)

    def tick(self, **variables: str) -> str:
        """One look; what it says."""
        settings = {"IOT_ALERTS__NATS_SUBJECT": "alerts", **variables}
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=self.definitions,
            resources={"lakehouse": lakehouse_of(self.lane, **settings)},
        )
        result = alert_sensor(scope_of(self.lane), 30)(context)
        self.cursor = context.cursor
        assert isinstance(result, dg.SkipReason)
        return str(result.skip_message)


@pytest.fixture
def world(lane: TestLane) -> Iterator[World]:
    """A lane and an empty Dagster."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(lane, instance)


def heard(world: World, work: Callable[[], object]) -> list[dict[str, Any]]:
    """Alerts on the lane's subject while ``work`` is done."""
    found: list[dict[str, Any]] = []

    async def listen(link: NatsLink) -> None:
        subscription = await link.client.subscribe(f"alerts.{world.lane.stream}")
        await link.client.flush()
        await asyncio.to_thread(work)
        await link.client.flush()
        while subscription.pending_msgs:
            found.append(json.loads((await subscription.next_msg(1)).data))

    world.lane.run_async(listen)
    return found


def test_a_failed_run_is_told_once_until_the_work_succeeds(world: World) -> None:
    """Two failures of one job are one alert with the reason; its next success is the other."""
    world.tick()
    world.healthy = False

    def fail() -> None:
        world.run("job")
        world.tick()
        world.run("job")
        world.tick()

    (alert,) = heard(world, fail)
    assert (alert["event"], alert["kind"]) == ("raised", "run")
    assert alert["text"] == "run of compact_readings failed"
    assert "Trino at 127.0.0.1 does not answer" in alert["detail"]

    world.healthy = True

    def mend() -> None:
        world.run("job")
        world.tick()
        world.tick()

    (recovered,) = heard(world, mend)
    assert (recovered["event"], recovered["key"]) == ("recovered", alert["key"])


def test_a_run_that_failed_before_the_first_look_is_history(world: World) -> None:
    """A new installation does not begin with old failures."""
    world.healthy = False
    world.run("job")

    def look() -> None:
        world.tick()
        world.tick()

    assert heard(world, look) == []


def test_a_red_check_is_told_with_its_numbers(world: World) -> None:
    """Red, red, green: one alert and one recovery."""
    world.green = False

    def red() -> None:
        world.run("check")
        world.tick()
        world.run("check")
        world.tick()

    (alert,) = heard(world, red)
    assert alert["kind"] == "check"
    assert "fresh" in alert["text"]
    assert "lag 90 s > 60 s" in alert["text"]
    assert alert["numbers"]["lag_s"] == 90.0

    world.green = True

    def green() -> None:
        world.run("check")
        world.tick()

    assert [one["event"] for one in heard(world, green)] == ["recovered"]


def test_silent_devices_are_told_from_the_last_look_for_them(world: World) -> None:
    """A device that fell silent is named with the time it was last heard, then its return."""
    world.silent = {"dev-1": 1_767_323_045, "dev-2": 1_767_323_046}

    def quiet() -> None:
        world.run("last_seen")
        world.tick()
        world.tick()

    (alert,) = heard(world, quiet)
    assert (alert["kind"], alert["devices"]) == ("silence", ["dev-1", "dev-2"])
    assert alert["since"] == "2026-01-02T03:04:05+00:00"
    world.silent = {}

    def back() -> None:
        world.run("last_seen")
        world.tick()

    assert [one["event"] for one in heard(world, back)] == ["recovered"]


def test_without_a_channel_nobody_is_told_and_the_sensor_says_so(world: World) -> None:
    """The reason names both settings."""
    told = world.tick(IOT_ALERTS__NATS_SUBJECT="")
    assert "IOT_ALERTS__WEBHOOK_URL" in told
    assert world.cursor is None


def test_nats_away_keeps_the_alert(world: World) -> None:
    """What NATS does not take waits in the cursor and is sent when it is back."""
    world.green = False
    world.run("check")
    told = world.tick(IOT_NATS__URL="nats://127.0.0.1:1")
    assert "1 wait" in told

    (alert,) = heard(world, world.tick)

    assert alert["kind"] == "check"


def test_a_check_judged_by_a_sensor_is_told_too(world: World) -> None:
    """A verdict that no run gave, only a report, is as red as any."""
    key = scope_of(world.lane).of_lake_table("compaction")

    def judge(*, passed: bool) -> None:
        verdict = dg.AssetCheckEvaluation(
            asset_key=key, check_name="fresh", passed=passed, metadata={"lag_s": 61.0}
        )
        world.instance.report_runless_asset_event(verdict)
        world.tick()

    (alert,) = heard(world, lambda: judge(passed=False))
    assert (alert["event"], alert["numbers"]) == ("raised", {"lag_s": 61.0})
    (recovered,) = heard(world, lambda: judge(passed=True))
    assert recovered["event"] == "recovered"
