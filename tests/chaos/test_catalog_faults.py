"""The Iceberg catalog fails in every way around a commit; each row is there once afterwards."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import _dataframe_to_data_files

from devstack.supervisor import Devstack
from ingest.catalog import connect
from ingest.errors import EXIT_FENCED
from tests.support.chaos import rows, wait_said
from tests.support.lane import TestLane
from tests.support.proxy import Action, HttpProxy
from tests.support.waiting import until

MESSAGES = 3_000
COMMIT = ("/tables/", '"updates"', "ingest.commit-id")
SMALL = {"IOT_LAKE__COMMIT_MAX_ROWS": "1000"}


@pytest.fixture
def proxy(lane: TestLane) -> Iterator[HttpProxy]:
    """A proxy in front of the catalog that only the lane's writers go through."""
    lane.init()
    with HttpProxy(urlsplit(lane.stack.env["IOT_CATALOG__URI"]).port or 0) as running:
        lane.overrides["IOT_CATALOG__URI"] = f"http://127.0.0.1:{running.port}"
        yield running


LIES = [
    (Action.REFUSE, 500),
    (Action.REFUSE, 503),
    (Action.REFUSE, 504),
    (Action.DROP, 0),
    (Action.ANSWER_AFTER, 500),
    (Action.ANSWER_AFTER, 503),
    (Action.ANSWER_AFTER, 504),
    (Action.ANSWER_AFTER, 409),
    (Action.CUT_AFTER, 0),
    (Action.CUT_MIDWAY, 0),
    (Action.TWICE, 0),
]


@pytest.mark.short
def test_commits_whose_answers_lie_or_are_missing(lane: TestLane, proxy: HttpProxy) -> None:
    """Refused, cut, resent, or answered with an error although they landed: one row each."""
    faults = [proxy.fail(action, *COMMIT, status=status) for action, status in LIES]
    lane.publish(lane.readings(MESSAGES))
    lake = lane.start("lake", IOT_LAKE__COMMIT_MAX_ROWS="300")
    lane.wait_lake(MESSAGES)
    assert [fault.taken for fault in faults] == [1] * len(LIES)
    assert lake.drain() == 0
    assert lane.lake_rows() == rows(1, MESSAGES)


@pytest.mark.short
def test_a_late_commit_of_an_overtaken_writer_is_refused(lane: TestLane, proxy: HttpProxy) -> None:
    """Held up on the way until a successor has committed the range: the catalog refuses it."""
    fault = proxy.fail(Action.HOLD, *COMMIT)
    lane.publish(lane.readings(MESSAGES))
    slow = lane.start("lake", **SMALL)
    assert fault.reached.wait(30)
    slow.process.send_signal(signal.SIGSTOP)
    successor = lane.start("lake", **SMALL)
    lane.wait_lake(MESSAGES)
    fault.release.set()
    slow.process.send_signal(signal.SIGCONT)
    assert slow.wait() == EXIT_FENCED
    assert successor.drain() == 0
    assert lane.lake_rows() == rows(1, MESSAGES)


def test_the_catalog_answers_with_somebody_elses_page(lane: TestLane, proxy: HttpProxy) -> None:
    """A load that is answered by a page of a proxy passes like any other outage."""
    fault = proxy.fail(Action.ANSWER_AFTER, "/tables/", method="GET", times=3, status=200)
    lane.publish(lane.readings(500))
    lake = lane.start("lake")
    until(lambda: fault.taken == 3, "three wrong pages")
    lane.wait_lake(500)
    assert lake.drain() == 0
    assert lane.lake_rows() == rows(1, 500)


def test_killed_and_started_again_during_commits(
    rough_lane: TestLane, rough_stack: Devstack
) -> None:
    """The writer waits for store and catalog, and commits its range once."""
    rough_lane.init()
    rough_lane.publish(rough_lane.readings(MESSAGES))
    lake = rough_lane.start("lake", IOT_LAKE__COMMIT_MAX_ROWS="500")
    wait_said(lake, "commit")
    rough_stack.kill("seaweedfs")
    rough_lane.publish(rough_lane.readings(500, start=MESSAGES))
    wait_said(lake, "commit_waiting")
    rough_stack.start_service("seaweedfs")
    rough_lane.wait_lake(MESSAGES + 500)
    assert lake.drain() == 0
    assert rough_lane.lake_rows() == rows(1, MESSAGES + 500)


def test_other_tools_rewrite_the_table_all_the_while(lane: TestLane) -> None:
    """Compactions between our commits conflict, are waited out, and double nothing."""
    lane.init()
    lake = lane.start("lake", IOT_LAKE__COMMIT_MAX_ROWS="100", IOT_LAKE__COMMIT_MAX_AGE_S="0.2")
    for start in range(0, 2_000, 200):
        lane.publish(lane.readings(200, start=start))
        _compact(lane)
    lane.wait_lake(2_000)
    # The ones above may all have lost their races; nobody races this one.
    assert _compact(lane)
    lane.publish(lane.readings(200, start=2_000))
    lane.wait_lake(2_200)
    assert lake.drain() == 0
    assert lane.lake_rows() == rows(1, 2_200)


def _compact(lane: TestLane) -> bool:
    """Rewrites all rows in one commit, as a compaction does; False when a conflict prevented it."""
    catalog = connect(lane.settings)
    name = (lane.contract.namespace, lane.contract.table)
    table = until(
        lambda: (t := catalog.load_table(name)).current_snapshot() and t, "a first commit"
    )
    everything = table.scan().to_arrow()
    transaction = table.transaction()
    with transaction.update_snapshot().overwrite() as overwrite:
        for task in table.scan().plan_files():
            overwrite.delete_data_file(task.file)
        for file in _dataframe_to_data_files(table.metadata, everything, table.io):
            overwrite.append_data_file(file)
    try:
        catalog.commit_table(table, transaction._requirements, transaction._updates)
    except CommitFailedException:
        return False
    return True
