"""Compaction of a real table by a real Trino: fewer files, the same readings."""

from __future__ import annotations

import threading

import pytest

from ingest.proof.chain import summary_chain
from tests.lake.maintenance.support import assert_proven, compactor_of, files_of, many_rows
from tests.support.lane import TestLane
from tests.support.small_files import ROWS_OF_A_COMMIT, many_small_files
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)


def test_small_files_become_one_and_every_reading_stays(lake_lane: TestLane) -> None:
    """Rows, watermark and proof are the same after compaction; the partition has one file."""
    lake_lane.init()
    many_small_files(lake_lane, 20, ts="2026-11-01T12:00:00Z")
    before, mark = lake_lane.lake_rows(), lake_lane.sink().watermark(lake_lane.lake_table())

    done = compactor_of(lake_lane).run()

    assert len(done.before.files) >= 10
    assert done.after is not None
    assert done.left is not None
    assert len(done.after.files) == 1
    assert done.left.files == 0
    assert done.stopped is None
    assert lake_lane.lake_rows() == before
    table = lake_lane.lake_table()
    assert lake_lane.sink().watermark(table) == mark
    assert summary_chain(table, lake_lane.stream).holds
    assert_proven(lake_lane)


def test_compacted_rows_keep_the_tables_order(lake_lane: TestLane) -> None:
    """Rows of a compacted file are sorted by the table's sort order."""
    import pyarrow.parquet as pq

    lake_lane.init()
    many_small_files(lake_lane, 8, ts="2026-11-01T12:00:00Z")

    compactor_of(lake_lane).run()

    (file,) = files_of(lake_lane).files
    keys = [*lake_lane.contract.key, "_seq", "_idx"]
    with lake_lane.lake_table().io.new_input(file.path).open() as stream:
        rows = pq.read_table(stream, columns=keys)
    assert rows.num_rows == 8 * ROWS_OF_A_COMMIT
    assert rows.equals(rows.sort_by([(key, "ascending") for key in keys]))


@pytest.mark.parametrize("sort_max_rows", [0, 200_000])
def test_more_rows_than_trino_can_sort_are_merged_all_the_same(
    lake_lane: TestLane, sort_max_rows: int
) -> None:
    """The unit is written file after file: known before, or as the store refuses the sort's files.

    ``sort_max_rows`` 0 lets Trino try.
    """
    lake_lane.init()
    many_small_files(lake_lane, 8, ts="2026-11-01T12:00:00Z")
    many_rows(lake_lane, 400_000, "2026-11-01 13:00:00")

    done = compactor_of(lake_lane, sort_max_rows=sort_max_rows).run()

    assert done.after is not None
    assert len(done.after.files) == 1
    assert done.after.rows == done.before.rows
    assert [one.in_order for one in done.done] == [False]


def test_units_are_cut_and_only_named_partitions_are_touched(lake_lane: TestLane) -> None:
    """A unit merges at most the files allowed; a partition that is not named stays as it is."""
    lake_lane.init()
    many_small_files(lake_lane, 10, ts="2026-11-01T12:00:00Z")
    many_small_files(lake_lane, 10, start=5_000, ts="2026-11-02T12:00:00Z")

    done = compactor_of(lake_lane, unit_max_files=4).run(["2026-11-01"])

    assert done.after is not None
    left = {one.label: len(one.files) for one in done.after.partitions()}
    assert left["2026-11-02"] >= 6
    assert left["2026-11-01"] < 5
    assert {one.unit.label for one in done.done} == {"2026-11-01"}
    assert all(len(one.unit.files) <= 4 for one in done.done)


def test_nothing_is_lost_while_the_writer_commits(lake_lane: TestLane) -> None:
    """Compaction over and over beside a committing lake writer leaves every reading once."""
    lake_lane.init()
    many_small_files(lake_lane, 12)
    writer = lake_lane.start("lake", IOT_LAKE__COMMIT_MAX_ROWS=str(ROWS_OF_A_COMMIT))
    hot = lake_lane.start("hot")
    over = threading.Event()

    def publish() -> None:
        number = 100_000
        while not over.is_set():
            lake_lane.publish(lake_lane.readings(ROWS_OF_A_COMMIT, start=number))
            number += ROWS_OF_A_COMMIT

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        compactor = compactor_of(lake_lane, min_files=2, unit_max_files=10)
        first = files_of(lake_lane).snapshot_id
        runs = [compactor.run() for _ in range(3)]
    finally:
        over.set()
        thread.join()
    last = lake_lane.state().last_seq
    lake_lane.wait_lake(last, 60)
    lake_lane.wait_hot(last, 60)

    assert sum(len(one.done) for one in runs) > 0
    assert files_of(lake_lane).snapshot_id != first
    until(lambda: writer.said("commit"), "commits")
    assert [writer.drain(), hot.drain()] == [0, 0]
    assert len(lake_lane.lake_rows()) == len(set(lake_lane.lake_rows())) == last
    assert summary_chain(lake_lane.lake_table(), lake_lane.stream).holds
    assert_proven(lake_lane)
