"""The proof as Dagster runs it: figures, a verdict for each side, and what a red one says."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from clickhouse_connect.driver.client import Client

from ingest.nats_link import NatsLink
from pipelines import quality_schema
from pipelines.defs.quality.assets import proof
from pipelines.defs.quality.checks import costly_checks, still_holds
from pipelines.defs.quality.sensors import reconciliation_sensor
from pipelines.defs.quality.verdicts import STILL_HOLDS
from pipelines.resources import decisions
from pipelines.resources.guard import BudgetGuard
from pipelines.settings import QualitySettings
from pipelines.trino_client import Trino
from tests.integration.proof.scenario import MESSAGES, payloads, store
from tests.lake.maintenance.support import QUICK_BUDGET
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane

pytestmark = pytest.mark.timeout(300)

SYNC = {"mutations_sync": 2}


def resources(lane: TestLane, **variables: str) -> dict[str, Any]:
    """Dagster's handles on the lane."""
    own = {"IOT_QUALITY__UNIT_SEQUENCES": "1000"}
    own["IOT_MAINTENANCE__CONTRACTS"] = str(lane.contract_file)
    lakehouse = lakehouse_of(lane, **{**QUICK_BUDGET, **own, **variables})
    return {"lakehouse": lakehouse, "guard": BudgetGuard(lakehouse=lakehouse)}


def materialized(lane: TestLane, **variables: str) -> tuple[dg.ExecuteInProcessResult, Any]:
    """A run of the asset and the checks that it evaluated by name."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [proof(scope_of(lane))],
            resources=resources(lane, **variables),
            instance=instance,
            raise_on_error=False,
        )
    return result, {one.check_name: one for one in result.get_asset_check_evaluations()}


def evaluations(
    lane: TestLane, checks: dg.AssetChecksDefinition, **variables: str
) -> dict[str, Any]:
    """What a run of checks evaluated, by name; each is told once more without the run."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [proof(scope_of(lane)), checks],
            selection=dg.AssetSelection.checks(checks),
            resources=resources(lane, **variables),
            instance=instance,
        )
        found = {one.check_name: one for one in result.get_asset_check_evaluations()}
        for key in checks.check_keys:
            (told, _) = instance.event_log_storage.get_asset_check_execution_history(key, limit=2)
            assert told.run_id == ""
            assert told.evaluation is not None
            assert told.evaluation.passed == found[key.name].passed
    return found


def figures_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Metadata of the materialisation."""
    (event,) = result.get_asset_materialization_events()
    found = event.step_materialization_data.materialization.metadata
    return {name: value.value for name, value in found.items()}


def test_a_lane_in_order_is_green(stored: TestLane) -> None:
    """Every side has a green check; the figures are numbers; a second run proves nothing again."""
    result, checks = materialized(stored)

    assert result.success
    assert set(checks) == {
        "stream_equals_clickhouse",
        "stream_equals_iceberg",
        "refused_equals_dead_letters",
        "rollup_equals_clickhouse",
        "history_is_vouched_for",
    }
    assert all(one.passed for one in checks.values())
    figures = figures_of(result)
    assert (figures["sequences"], figures["rows"], figures["refused"]) == (MESSAGES, 299, 3)
    assert figures["proven_upto"] == MESSAGES
    assert figures["trino_rows_read"] > 0
    assert figures["verdict"].startswith("PROVEN ")
    assert checks["refused_equals_dead_letters"].metadata["dead_letters"].value == 3

    again, checks = materialized(stored)
    assert figures_of(again)["sequences"] == 0
    assert (
        "nothing new to compare; last proven: 1-300" in checks["stream_equals_iceberg"].description
    )


def test_each_side_is_red_by_itself(stored: TestLane, clickhouse: Client) -> None:
    """Damage to one side makes its check red, and says which sequences, since when and where."""
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 20", settings=SYNC)
    table = stored.lake_table()
    table.append(table.scan(row_filter="_seq = 30").to_arrow())

    async def lose_a_letter(link: NatsLink) -> None:
        await link.api("STREAM.PURGE.DLQ", {"filter": f"dlq.{stored.stream}.50.*"})

    stored.run_async(lose_a_letter)

    result, checks = materialized(stored)

    # Blocking checks: nothing after the proof in the same run goes on.
    assert not result.success
    red = {name for name, one in checks.items() if not one.passed}
    assert red == {
        "stream_equals_clickhouse",
        "stream_equals_iceberg",
        "refused_equals_dead_letters",
    }
    hot = checks["stream_equals_clickhouse"]
    assert hot.description.startswith("clickhouse: missing sequence 20, stored 20")
    assert hot.metadata["missing"].value == 1
    lake = checks["stream_equals_iceberg"]
    assert lake.description.startswith("iceberg: doubled sequence 30, stored 20")
    assert ".parquet" in lake.description
    assert "| iceberg | doubled |" in lake.metadata["findings"].value
    letters = checks["refused_equals_dead_letters"]
    assert letters.description.startswith("dlq: missing sequence 50, stored 20")
    assert figures_of(result)["verdict"].startswith("NOT PROVEN ")


def test_a_rollup_that_lacks_rows_is_red(stored: TestLane, clickhouse: Client) -> None:
    """The per-minute view has a check of its own."""
    clickhouse.command(f"DROP VIEW {stored.table}_1m")

    _, checks = materialized(stored)

    assert {name for name, one in checks.items() if not one.passed} == {"rollup_equals_clickhouse"}


def test_what_aged_out_unproven_is_not_vouched_for(stored: TestLane) -> None:
    """Nobody says what retention removed before it was proven."""

    async def purge(link: NatsLink) -> None:
        await link.js.purge_stream(stored.stream, seq=101)

    stored.run_async(purge)

    _, checks = materialized(stored)

    assert {name for name, one in checks.items() if not one.passed} == {"history_is_vouched_for"}
    assert "stream: unproven 100 sequences: 1-100" in checks["history_is_vouched_for"].description


def test_a_system_that_is_away_is_no_verdict(
    stored: TestLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Trino the run is repeated, then fails and names it; no check is evaluated."""
    monkeypatch.setattr(decisions, "RETRIES", 1)
    monkeypatch.setattr(decisions, "FIRST_PAUSE_S", 0.1)

    result, checks = materialized(stored, IOT_TRINO__URL="http://iot@127.0.0.1:9")

    assert not result.success
    assert checks == {}
    assert any(one.event_type_value == "STEP_UP_FOR_RETRY" for one in result.all_events)
    (failure,) = [one for one in result.all_events if one.is_step_failure]
    assert "Trino at http://127.0.0.1:9 does not answer" in str(failure.event_specific_data)


def test_damage_to_what_was_proven_is_found_again(stored: TestLane, clickhouse: Client) -> None:
    """The weekly comparison of everything is green in order and red on old damage."""
    materialized(stored)

    def again() -> Any:
        return evaluations(stored, still_holds(scope_of(stored)))[STILL_HOLDS]

    assert again().passed
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 20", settings=SYNC)

    found = again()
    assert not found.passed
    assert found.description.startswith("clickhouse: missing sequence 20")


def test_trino_sees_the_contracts_columns(stored: TestLane, trino: Trino) -> None:
    """A column that somebody renamed in the lake is told by the catalog and by Trino."""
    assert quality_schema.in_iceberg(stored.settings, trino).passed

    with stored.lake_table().update_schema() as update:
        update.rename_column("unit", "units")

    found = quality_schema.in_iceberg(stored.settings, trino)
    assert not found.passed
    assert "Trino sees column unit as missing, the contract says varchar" in found.text


def test_costly_checks_that_cannot_be_evaluated_are_red(stored: TestLane) -> None:
    """All of them come out of one run; without Trino only its own check is unknown."""
    away = {"IOT_TRINO__URL": "http://iot@127.0.0.1:9", "IOT_TRINO__CONNECT_TIMEOUT_S": "1"}

    def verdicts(**variables: str) -> dict[str, Any]:
        return evaluations(stored, costly_checks(scope_of(stored)), **variables)

    assert all(one.passed for one in verdicts().values())
    found = verdicts(**away)
    assert {name for name, one in found.items() if not one.passed} == {quality_schema.ICEBERG}
    text = found[quality_schema.ICEBERG].description
    assert text.startswith("could not be evaluated: Trino at http://127.0.0.1:9")


def test_the_sensor_asks_when_there_is_something_to_prove(stored: TestLane) -> None:
    """One run for new ranges, none too soon, none when everything is proven."""
    scope = scope_of(stored)
    job = dg.define_asset_job("reconcile_readings", dg.AssetSelection.assets(scope.proof))
    sensor = reconciliation_sensor(scope, job, QualitySettings())

    def tick(cursor: str | None) -> Any:
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(
                instance=instance, cursor=cursor, resources=resources(stored)
            ) as context,
        ):
            return sensor.evaluate_tick(context)

    first = tick(None)
    assert [one.tags["sequences"] for one in first.run_requests] == [str(MESSAGES)]
    assert "every 300 s at most" in tick(first.cursor).skip_message

    materialized(stored)
    assert tick(None).skip_message == "everything that both sinks hold is proven, up to 300"

    stored.publish(payloads(20))
    store(stored, MESSAGES + 20)
    assert len(tick(None).run_requests) == 1
