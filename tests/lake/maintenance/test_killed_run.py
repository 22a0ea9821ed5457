"""A run worker killed in mid-compaction, under Dagster's own queue and daemon."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from pipelines.trino_client import quoted
from tests.lake.maintenance.support import QUICK_BUDGET, files_of, many_rows, newest_statement
from tests.support.dagster_dev import DagsterDev
from tests.support.lakehouse import lakehouse_of
from tests.support.lane import TestLane
from tests.support.small_files import many_small_files
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(800)

LAUNCH = """
mutation($location: String!, $job: String!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: $location, repositoryName: "__repository__", jobName: $job}
    runConfigData: {}
    executionMetadata: {tags: [{key: "dagster/priority", value: "10"}]}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
LOCATIONS = "{workspaceOrError{... on Workspace{locationEntries{name}}}}"


def test_a_killed_run_frees_its_slot_and_the_next_run_completes(
    lake_lane: TestLane, tmp_path: Path
) -> None:
    """SIGKILL of the run's process in mid-statement: every reading is there, the pool is free."""
    lane = lake_lane
    lane.init()
    many_small_files(lane, 12, ts="2026-11-01T12:00:00Z")
    many_rows(lane, 400_000, "2026-11-01 13:00:00")
    before = readings(lane)
    env = {**lane.env, **QUICK_BUDGET, "IOT_MAINTENANCE__CONTRACTS": str(lane.contract_file)}

    with DagsterDev(tmp_path / "dagster", env) as dagster:
        killed = launch(dagster, lane)
        until(lambda: newest_statement(lane)[0] == "RUNNING", "a running statement", 240)
        os.kill(worker_of(dagster, killed), signal.SIGKILL)
        assert readings(lane) == before

        second = launch(dagster, lane)
        until(lambda: status(dagster, second) in {"SUCCESS", "FAILURE"}, "the second run", 240)
        assert status(dagster, second) == "SUCCESS"
        until(lambda: status(dagster, killed) == "FAILURE", "the first run's end", 60)

    assert len(files_of(lane).files) == 1
    assert readings(lane) == before


def readings(lane: TestLane) -> tuple[object, ...]:
    """Number of rows and a checksum over all of them, computed by Trino."""
    table = quoted("iceberg", lane.contract.namespace, lane.contract.table)
    columns = "device_id, metric, ts, value, _seq, _idx, _lane, _epoch, _stored_at"
    sql = f"SELECT count(*), checksum(ROW({columns})) FROM {table}"
    return lakehouse_of(lane).trino().query(sql)[0]


def launch(dagster: DagsterDev, lane: TestLane) -> str:
    """Id of a new run of the compaction job."""
    (location,) = dagster.graphql(LOCATIONS)["workspaceOrError"]["locationEntries"]
    job = f"compact_{lane.contract.table}"
    told = dagster.graphql(LAUNCH, location=location["name"], job=job)["launchRun"]
    assert told["__typename"] == "LaunchRunSuccess", told
    return str(told["run"]["runId"])


def status(dagster: DagsterDev, run_id: str) -> str:
    """A run's state."""
    return str(dagster.graphql(STATUS, id=run_id)["runOrError"]["status"])


def worker_of(dagster: DagsterDev, run_id: str) -> int:
    """The process that executes the run, from its lines in the log."""
    log = dagster.log.read_text(encoding="utf-8", errors="replace")
    found = re.findall(rf"{run_id} - (\d+) - ", log)
    assert found, log[-2000:]
    return int(found[-1])
