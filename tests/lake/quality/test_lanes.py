"""Two lanes proven by Dagster through Trino: one asset and one set of checks over both."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.defs.quality.checks import costly_checks, rewritten_holds, still_holds
from pipelines.defs.quality.verdicts import REWRITTEN, STILL_HOLDS
from tests.integration.proof.scenario import MESSAGES, payloads, provision, store
from tests.lake.quality.support import trino_of
from tests.lake.quality.test_proof_asset import SYNC, evaluations, figures_of, materialized
from tests.support.lakehouse import scope_of
from tests.support.lane import TestLane
from tests.support.nth_lane import NthLane, two_lanes

pytestmark = pytest.mark.timeout(400)

SECOND = 120
"""Messages of the second lane."""


@pytest.fixture
def laned(lake_lane: TestLane) -> TestLane:
    """A contract of two lanes whose messages are in both sinks."""
    lanes = two_lanes(lake_lane)
    provision(lake_lane)
    for one, count in zip(lanes, (MESSAGES, SECOND), strict=True):
        one.publish(payloads(count))
        store(one, count)
    return lake_lane


def second(lane: TestLane) -> NthLane:
    """The lane that is damaged."""
    return two_lanes(lane)[1]


def delete(lane: TestLane, sequence: int) -> None:
    """Takes a row of the second lane out of ClickHouse."""
    client = lane.clickhouse()
    try:
        where = f"_seq = {sequence} AND _lane = '{second(lane).stream}'"
        client.command(f"ALTER TABLE {lane.table} DELETE WHERE {where}", settings=SYNC)
    finally:
        client.close()


def test_both_lanes_are_proven_by_one_run(laned: TestLane) -> None:
    """Sums over both, each lane's own figures under its name, nothing left for a second run."""
    result, checks = materialized(laned)

    assert result.success
    assert all(one.passed for one in checks.values())
    figures = figures_of(result)
    first, other = laned.stream, second(laned).stream
    assert figures["sequences"] == MESSAGES + SECOND
    assert figures[f"proven_upto/{first}"] == MESSAGES
    assert figures[f"proven_upto/{other}"] == SECOND
    assert f"| {other} | PROVEN " in figures["lanes"]
    assert checks["refused_equals_dead_letters"].metadata[f"dead_letters/{other}"].value == 2
    again, _ = materialized(laned)
    assert figures_of(again)["sequences"] == 0


def test_a_row_that_one_lane_lacks_is_red_with_its_lane(laned: TestLane) -> None:
    """The first lane is proven all the same; the other's missing sequence is named."""
    delete(laned, 20)

    result, checks = materialized(laned)

    assert {name for name, one in checks.items() if not one.passed} == {"stream_equals_clickhouse"}
    told = checks["stream_equals_clickhouse"].description
    assert told.startswith(f"{second(laned).stream}: clickhouse: missing sequence 20, stored 20")
    assert figures_of(result)[f"proven_upto/{laned.stream}"] == MESSAGES


def test_what_was_proven_is_held_again_in_both_lanes(laned: TestLane) -> None:
    """The costly checks hold over both; old damage to one lane is found with its name."""
    materialized(laned)

    def verdict(checks: Any, name: str) -> Any:
        return evaluations(laned, checks)[name]

    assert all(one.passed for one in evaluations(laned, costly_checks(scope_of(laned))).values())
    assert verdict(still_holds(scope_of(laned)), STILL_HOLDS).passed
    trino_of(laned).execute(f"ALTER TABLE {laned.table} EXECUTE optimize")
    assert verdict(rewritten_holds(scope_of(laned)), REWRITTEN).passed

    delete(laned, 20)
    laned.lake_table().delete(f"_seq = 30 and _lane = '{second(laned).stream}'")

    found = verdict(still_holds(scope_of(laned)), STILL_HOLDS)
    assert not found.passed
    assert found.description.startswith(f"{second(laned).stream}: clickhouse: missing sequence 20")
    assert not verdict(rewritten_holds(scope_of(laned)), REWRITTEN).passed
