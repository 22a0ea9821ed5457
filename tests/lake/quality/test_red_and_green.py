"""As a user sees it: a consumer is killed, a check goes red, and green again by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.quality_cheap import FRESH_HOT
from tests.support.dagster_dev import DagsterDev
from tests.support.lane import TestLane
from tests.support.stream_of_readings import StreamOfReadings
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(400)

QUERY = """
query ($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks {
          checks {
            name
            executionForLatestMaterialization {
              status
              evaluation { severity description }
            }
          }
        }
      }
    }
  }
}
"""


def shown(dagster: DagsterDev, lane: TestLane, check: str) -> dict[str, Any]:
    """The check as Dagster's page of the hot table shows it; empty while it shows none."""
    path = ["clickhouse", lane.contract.namespace, lane.contract.table]
    node = dagster.graphql(QUERY, path=path)["assetNodeOrError"]
    for one in node.get("assetChecksOrError", {}).get("checks", []):
        if one["name"] == check:
            return one["executionForLatestMaterialization"] or {}
    return {}


def test_a_killed_consumer_is_red_until_it_runs_again(lane: TestLane, tmp_path: Path) -> None:
    """Nobody starts anything in Dagster: its sensor sees the lag come and go."""
    lane.init()
    lane.overrides |= {
        "IOT_QUALITY__CHECKS_EVERY_S": "5",
        "IOT_QUALITY__FRESH_HOT_S": "5",
        "IOT_MAINTENANCE__CONTRACTS": str(lane.contract_file),
    }
    hot = lane.start("hot")
    lane.start("lake")

    with (
        StreamOfReadings(lane, 50) as readings,
        DagsterDev(tmp_path / "dagster", lane.env) as dagster,
    ):

        def status() -> str:
            return str(shown(dagster, lane, FRESH_HOT).get("status", ""))

        readings.wait(100)
        until(lambda: status() == "SUCCEEDED", "a green check", 120, every_s=1)

        hot.kill()
        until(lambda: status() == "FAILED", "a red check", 120, every_s=1)
        told = shown(dagster, lane, FRESH_HOT)["evaluation"]
        assert told["severity"] == "ERROR"
        assert told["description"].startswith("ClickHouse lacks ")
        assert "the oldest was stored " in told["description"]

        lane.start("hot")
        until(lambda: status() == "SUCCEEDED", "green again", 120, every_s=1)
