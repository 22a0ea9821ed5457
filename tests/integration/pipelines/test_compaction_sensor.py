"""The sensor that asks for compaction: when, once, and never against the hot path."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import dagster as dg
import pytest

from pipelines.defs.lake.jobs import maintenance_jobs
from pipelines.defs.lake.sensors import compaction_sensor
from pipelines.resources.guard import BudgetGuard
from pipelines.settings import MaintenanceSettings
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane
from tests.support.small_files import many_small_files

pytestmark = pytest.mark.timeout(300)

EAGER = {"IOT_MAINTENANCE__DEBT_FILES": "3", "IOT_BUDGET__SAMPLE_EVERY_S": "0.1"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance without runs."""
    with dg.DagsterInstance.ephemeral() as fresh:
        yield fresh


@pytest.fixture
def small_files(lane: TestLane) -> TestLane:
    """A lane with several small files, up to date on both paths."""
    lane.init()
    many_small_files(lane, 12)
    return lane


def tick(
    lane: TestLane, instance: dg.DagsterInstance, **variables: str
) -> dg.RunRequest | dg.SkipReason:
    """One evaluation of the sensor."""
    scope = scope_of(lane)
    sensor = compaction_sensor(scope, maintenance_jobs(scope)["compaction"], MaintenanceSettings())
    contracts = {"IOT_MAINTENANCE__CONTRACTS": str(lane.contract_file)}
    lakehouse = lakehouse_of(lane, **{**EAGER, **contracts, **variables})
    resources = {"lakehouse": lakehouse, "guard": BudgetGuard(lakehouse=lakehouse)}
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        found = sensor(context)
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def skipped(found: dg.RunRequest | dg.SkipReason) -> str:
    """The reason of a skip."""
    assert isinstance(found, dg.SkipReason), found
    return str(found.skip_message)


def test_debt_asks_for_one_run_for_a_snapshot(
    small_files: TestLane, instance: dg.DagsterInstance
) -> None:
    """A second look at the same snapshot asks with the same key, so that it starts nothing."""
    first, second = tick(small_files, instance), tick(small_files, instance)

    assert isinstance(first, dg.RunRequest), first
    assert isinstance(second, dg.RunRequest), second
    assert first.run_key == second.run_key
    snapshot = small_files.lake_table().current_snapshot()
    assert str(first.run_key).startswith(f"{snapshot.snapshot_id}-")
    assert int(first.tags["debt"]) >= 3


def test_a_skip_says_how_much_is_owed(small_files: TestLane, instance: dg.DagsterInstance) -> None:
    """Below the bound: by the count of all files, and by what merging would remove."""
    few = skipped(tick(small_files, instance, IOT_MAINTENANCE__DEBT_FILES="5000"))
    assert "files in all; 5000 too many start a run" in few

    none_small = skipped(tick(small_files, instance, IOT_MAINTENANCE__MIN_FILES="500"))
    assert "0 files too many in 0 of 1 partitions" in none_small
    assert "3 too many start a run" in none_small


def test_a_run_under_way_is_not_asked_for_again(
    small_files: TestLane, instance: dg.DagsterInstance
) -> None:
    """Also when the table has changed since."""
    job = f"compact_{small_files.contract.table}"
    run_id = str(uuid.uuid4())
    run = dg.DagsterRun(job_name=job, run_id=run_id, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)

    assert f"a run of {job} is under way" in skipped(tick(small_files, instance))


def test_the_hot_path_comes_first(small_files: TestLane, instance: dg.DagsterInstance) -> None:
    """With readings waiting for the hot writer the skip names its lag and what is allowed."""
    small_files.publish(small_files.readings(5, start=5_000))

    told = skipped(tick(small_files, instance, IOT_BUDGET__HOT_LAG_MAX_S="0.001"))

    assert "the hot path comes first: hot lag" in told
    assert "(5 messages) of 0.001 s allowed" in told


def test_a_catalog_that_is_away_is_named_in_the_skip(
    lane: TestLane, instance: dg.DagsterInstance
) -> None:
    """The tick does not fail; the next one looks again."""
    told = skipped(tick(lane, instance, IOT_CATALOG__URI="http://127.0.0.1:9"))

    assert "the table cannot be looked at now: the Iceberg catalog" in told
