"""Compaction that is stopped, or whose server dies: nothing is changed, the next run completes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from devstack.supervisor import Devstack
from pipelines.cancel import Cancel
from pipelines.compaction import Compactor
from pipelines.errors import TrinoUnavailable
from pipelines.guard import Guard, open_guard
from tests.lake.maintenance.support import (
    QUICK_BUDGET,
    assert_proven,
    compactor_of,
    files_of,
    newest_statement,
)
from tests.support.lakehouse import lakehouse_of
from tests.support.lane import TestLane
from tests.support.small_files import many_small_files
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def small_files(lake_lane: TestLane) -> TestLane:
    """A lane whose table has many small files in a cold partition."""
    lake_lane.init()
    many_small_files(lake_lane, 16, ts="2026-11-01T12:00:00Z")
    return lake_lane


@pytest.fixture
def store(trino_stack: Devstack) -> Iterator[Store]:
    """The object store, to be hung and woken."""
    handle = Store(trino_stack)
    yield handle
    handle.wake()


class Store:
    """The object store and catalog of a platform."""

    def __init__(self, stack: Devstack) -> None:
        self._stack = stack
        self.hung = threading.Event()

    def hang(self) -> None:
        """Answers nobody from now on."""
        self._stack.signal("seaweedfs", signal.SIGSTOP)
        self.hung.set()

    def wake(self) -> None:
        """Answers again."""
        self._stack.signal("seaweedfs", signal.SIGCONT)


class HangingUnit:
    """A guard under which the object store hangs once a unit starts, so that it cannot end."""

    def __init__(self, guard: Guard | None, store: Store) -> None:
        self._guard = guard
        self._store = store

    def run(self, work: str, unit: Callable[[Cancel], Any], **limits: Any) -> Any:
        """Runs the unit with the store hanging."""

        def hanging(cancel: Cancel) -> Any:
            self._store.hang()
            return unit(cancel)

        return self._guard.run(work, hanging, **limits) if self._guard else hanging(Cancel())


def hanging(lane: TestLane, guard: Guard | None, store: Store) -> Compactor:
    """Compaction in two units whose first one hangs."""
    return compactor_of(lane, HangingUnit(guard, store), unit_max_files=8)  # type: ignore[arg-type]


def is_over(lane: TestLane) -> bool:
    """Whether the newest compaction statement on the lane's table has got its end."""
    rows = (
        lakehouse_of(lane)
        .trino()
        .query(
            'SELECT "end" IS NOT NULL FROM system.runtime.queries'
            " WHERE query LIKE ? AND query NOT LIKE '%runtime.queries%'"
            " ORDER BY created DESC LIMIT 1",
            (f"%{lane.contract.namespace}%optimize%",),
        )
    )
    return rows == [(True,)]


def test_a_broken_budget_kills_the_query_and_the_next_run_completes(
    small_files: TestLane, store: Store
) -> None:
    """A hot path that hangs in mid-compaction has the query killed in Trino; readings stay."""
    lane = small_files
    hot = lane.start("hot")
    said = until(lambda: hot.said("listening"), "a hot writer")
    url = f"http://{said[0]['address']}/metrics"
    variables = {**QUICK_BUDGET, "IOT_BUDGET__HOT_METRICS_URLS": url}
    variables["IOT_BUDGET__HOT_LAG_MAX_S"] = "2"
    budget = lakehouse_of(lane, **variables).pipeline_settings.budget
    guard = open_guard(lane.settings, budget, [lane.stream])
    before = files_of(lane)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(hanging(lane, guard, store).run)
        try:
            until(store.hung.is_set, "a unit", 60)
            hot.process.send_signal(signal.SIGSTOP)
            lane.publish(lane.readings(10, start=50_000))
            # Its state changes only when the store lets its planning go on.
            until(lambda: is_over(lane), "a killed statement", 90)
        finally:
            hot.process.send_signal(signal.SIGCONT)
            store.wake()
        result = running.result(60)

    assert newest_statement(lane) == ("FAILED", "ADMINISTRATIVELY_KILLED")
    assert result.done == []
    assert result.stopped is not None
    assert "of 2 s allowed" in result.stopped
    assert "2 units left" in result.stopped
    assert files_of(lane).files == before.files
    again = compactor_of(lane).run()
    assert again.left is not None
    assert again.left.files == 0
    assert again.left.partitions[0].partition.rows == again.before.rows
    lane.wait_hot(lane.state().last_seq)
    assert hot.drain() == 0
    assert lane.start("lake").drain() == 0
    assert_proven(lane)


def test_trino_killed_in_mid_compaction_leaves_the_table_as_it_was(
    small_files: TestLane, store: Store, trino_stack: Devstack
) -> None:
    """A run whose Trino dies ends as TrinoUnavailable; after its restart a run completes."""
    lane = small_files
    before, rows = files_of(lane), lane.lake_rows()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(hanging(lane, None, store).run)
        try:
            until(store.hung.is_set, "a unit", 60)
            until(lambda: newest_statement(lane)[0], "a statement", 30)
            trino_stack.kill("trino")
        finally:
            store.wake()
        with pytest.raises(TrinoUnavailable, match="does not answer"):
            running.result(120)
    trino_stack.start_service("trino")

    assert files_of(lane).files == before.files
    done = compactor_of(lane).run()
    assert done.after is not None
    assert len(done.after.files) == 1
    assert lane.lake_rows() == rows


def test_a_foreign_commit_during_compaction_conflicts_and_loses_nothing(
    small_files: TestLane, store: Store
) -> None:
    """Files that somebody else merged meanwhile are no longer there: nothing is merged twice."""
    lane = small_files
    rows = lane.lake_rows()
    first, second = compactor_of(lane, unit_max_files=8), compactor_of(lane, unit_max_files=8)
    _, owed = first.look()

    assert second.run().done
    for unit in owed.units():
        first._merge(unit)

    assert lane.lake_rows() == rows
    assert_proven(lane)
