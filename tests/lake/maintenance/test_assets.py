"""The maintenance assets as Dagster runs them: figures, outages, refusals, what waits for later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from pipelines.defs.lake import assets as lake_assets
from pipelines.resources import decisions
from pipelines.resources.guard import BudgetGuard
from tests.lake.maintenance.support import QUICK_BUDGET, files_of
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane
from tests.support.small_files import many_small_files

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance without runs."""
    with dg.DagsterInstance.ephemeral() as fresh:
        yield fresh


@pytest.fixture
def small_files(lake_lane: TestLane) -> TestLane:
    """A lane whose table has many small files in a cold partition."""
    lake_lane.init()
    many_small_files(lake_lane, 12, ts="2026-11-01T12:00:00Z")
    return lake_lane


def materialize(
    lane: TestLane, kind: str, instance: dg.DagsterInstance, config: Any = None, **variables: str
) -> dg.ExecuteInProcessResult:
    """One run of one maintenance asset."""
    asset = getattr(lake_assets, kind)(scope_of(lane))
    lakehouse = lakehouse_of(
        lane,
        **{**QUICK_BUDGET, "IOT_MAINTENANCE__CONTRACTS": str(lane.contract_file), **variables},
    )
    ops = {asset.op.name: {"config": config}} if config else {}
    return dg.materialize(
        [asset],
        instance=instance,
        resources={"lakehouse": lakehouse, "guard": BudgetGuard(lakehouse=lakehouse)},
        run_config={"ops": ops},
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Metadata of the run's materialisation; none when nothing was made."""
    events = result.get_asset_materialization_events()
    found = [event.step_materialization_data.materialization.metadata for event in events]
    return {name: value.value for name, value in found[0].items()} if found else {}


def observations(result: dg.ExecuteInProcessResult) -> list[dict[str, Any]]:
    """Metadata of the run's observations."""
    return [
        {
            name: one.value
            for name, one in event.asset_observation_data.asset_observation.metadata.items()
        }
        for event in result.get_asset_observation_events()
    ]


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step said."""
    (step,) = result.filter_events(lambda event: event.is_step_failure)
    return str(step.step_failure_data.user_failure_data or step.step_failure_data.error)


def test_a_compaction_reports_what_it_changed_and_cost(
    small_files: TestLane, instance: dg.DagsterInstance
) -> None:
    """Files, bytes, units, Trino's time, the budget's wait, a table and a plot."""
    plan = observations(materialize(small_files, "compaction", instance, {"dry_run": True}))
    assert plan[0]["files_too_many"] >= 8
    assert "2026-11-01" in plan[0]["plan"]

    result = materialize(small_files, "compaction", instance)

    told = metadata(result)
    assert result.success
    assert told["files_before"] >= 9
    assert told["files"] == 1
    assert told["files_too_many"] == 0
    assert told["mean_file_bytes"] == told["bytes"] < told["bytes_before"]
    assert told["units"] == 1
    assert told["trino_cpu_s"] > 0
    assert told["waited_s"] >= 0
    assert told["dagster/row_count"] == 600
    assert "| 2026-11-01 |" in told["partitions"]
    assert "data:image/png;base64," in told["file sizes"]


def test_the_other_kinds_report_the_metadata_they_changed(
    small_files: TestLane, instance: dg.DagsterInstance
) -> None:
    """Manifests before and after; young snapshots and files are left alone."""
    merged = metadata(
        materialize(small_files, "manifests", instance, IOT_MAINTENANCE__MIN_MANIFESTS="2")
    )
    assert merged["manifests"] < merged["manifests_before"]
    assert metadata(materialize(small_files, "snapshots", instance))["nothing_to_do"] == 1
    assert metadata(materialize(small_files, "statistics", instance))["trino_wall_s"] > 0
    assert metadata(materialize(small_files, "orphans", instance))["removed_files"] == 0


def test_a_busy_hot_path_leaves_compaction_for_later(
    small_files: TestLane, instance: dg.DagsterInstance
) -> None:
    """The run ends well without a materialisation; the observation has the numbers."""
    small_files.publish(small_files.readings(5, start=5_000))

    result = materialize(
        small_files,
        "compaction",
        instance,
        IOT_BUDGET__HOT_LAG_MAX_S="0.01",
        IOT_MAINTENANCE__GIVE_UP_AFTER_S="1",
    )

    assert result.success
    assert metadata(result) == {}
    (why,) = observations(result)
    assert "of 0.01 s allowed" in why["left for later"]
    assert len(files_of(small_files).files) > 1


def test_a_trino_that_is_away_is_tried_again_and_then_named(
    small_files: TestLane, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three retries, then a failure whose sentence names Trino; the table is untouched."""
    monkeypatch.setattr(decisions, "FIRST_PAUSE_S", 0.1)
    before = files_of(small_files)

    result = materialize(
        small_files, "compaction", instance, IOT_TRINO__URL="http://iot@127.0.0.1:9"
    )

    assert not result.success
    retries = result.filter_events(lambda event: event.is_step_up_for_retry)
    assert len(retries) == decisions.RETRIES
    assert "Trino at http://127.0.0.1:9 does not answer" in failure(result)
    assert files_of(small_files).snapshot_id == before.snapshot_id


def test_what_trino_refuses_is_not_tried_again(
    small_files: TestLane, instance: dg.DagsterInstance
) -> None:
    """A catalog that Trino does not have, and a setting that cannot work: one try, one sentence."""
    lagoon = materialize(small_files, "compaction", instance, IOT_TRINO__CATALOG="lagoon")
    assert not lagoon.filter_events(lambda event: event.is_step_up_for_retry)
    assert "Trino refuses the statement" in failure(lagoon)

    wrong = materialize(
        small_files, "compaction", instance, IOT_TRINO__URL="http://iot:secret@127.0.0.1:9"
    )
    assert not wrong.filter_events(lambda event: event.is_step_up_for_retry)
    assert "IOT_TRINO__URL" in failure(wrong)
    assert "secret" not in failure(wrong)

    unknown = materialize(small_files, "compaction", instance, {"partitions": ["2026-13-01"]})
    assert "no partition 2026-13-01; its partitions are 2026-11-01 to" in failure(unknown)
