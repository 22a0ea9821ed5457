"""Manifests, snapshots, orphans and statistics of a real table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ingest import s3
from ingest.proof.chain import summary_chain
from pipelines.lake_upkeep import last_commit
from pipelines.table_objects import table_objects
from tests.lake.maintenance.support import (
    assert_proven,
    compactor_of,
    files_of,
    trino_of,
    upkeep_of,
)
from tests.support.lane import TestLane
from tests.support.small_files import many_small_files

pytestmark = pytest.mark.timeout(400)

AT_ONCE = timedelta(0)


@pytest.fixture
def small_files(lake_lane: TestLane) -> TestLane:
    """A lane whose table has many small files, manifests and snapshots."""
    lake_lane.init()
    many_small_files(lake_lane, 16, ts="2026-11-01T12:00:00Z")
    return lake_lane


def test_upkeep_leaves_every_reading_and_the_watermark(small_files: TestLane) -> None:
    """All kinds in a row: fewer manifests, one snapshot, no orphan; the lane goes on and is proven.

    A second round of expiring, and of merging so few manifests, sends nothing to Trino.
    """
    lane = small_files
    rows, mark = lane.lake_rows(), lane.sink().watermark(lane.lake_table())
    upkeep = upkeep_of(lane, min_manifests=2)

    merged = upkeep.manifests()
    assert merged.after.manifests < merged.before.manifests
    assert merged.after.manifests == 1
    compactor_of(lane).run()
    expired = upkeep.snapshots(AT_ONCE)
    assert expired.before.snapshots > 10
    assert expired.after.snapshots == 1
    counted = upkeep.statistics()
    assert counted.statement is not None
    assert upkeep.orphans(timedelta(days=1)).statement is not None

    assert lane.lake_rows() == rows
    assert lane.sink().watermark(lane.lake_table()) == mark
    again = (upkeep_of(lane).manifests(), upkeep.snapshots(AT_ONCE))
    assert [one.statement for one in again] == [None, None]
    chain = summary_chain(lane.lake_table(), lane.stream)
    assert (chain.commits, chain.holds) == (0, True)
    assert last_commit(lane.lake_table(), lane.stream, mark) is not None
    many_small_files(lane, 2, start=10_000)
    assert summary_chain(lane.lake_table(), lane.stream).holds
    assert_proven(lane)


def test_expiring_spares_what_is_younger(small_files: TestLane) -> None:
    """With a retention longer than the table's life nothing is sent to Trino."""
    done = upkeep_of(small_files).snapshots(timedelta(hours=1))

    assert done.statement is None
    assert files_of(small_files).snapshots == done.before.snapshots > 10


def test_statistics_tell_distinct_values_of_the_key(small_files: TestLane) -> None:
    """Trino's planner knows the number of devices and metrics afterwards."""
    lane = small_files
    upkeep_of(lane).statistics()

    table = f'"iceberg"."{lane.contract.namespace}"."{lane.contract.table}"'
    stats = {row[0]: row[2] for row in trino_of(lane).query(f"SHOW STATS FOR {table}")}
    assert stats["device_id"] == 7
    assert stats["metric"] == 1


def test_only_old_orphans_are_removed(small_files: TestLane) -> None:
    """A file in no snapshot goes once it is older than the retention, and no file of the table."""
    lane = small_files
    rows = lane.lake_rows()
    location = lane.lake_table().location()
    bucket, _, path = location.removeprefix("s3://").partition("/")
    key = f"{path}/data/ts_day=2026-11-01/planted.parquet"
    s3.connect(lane.settings.s3).put_object(Bucket=bucket, Key=key, Body=b"left by a crash")
    upkeep, store = upkeep_of(lane), lane.settings.s3

    upkeep.orphans(timedelta(hours=1))
    assert key in table_objects(store, location)
    assert key not in table_objects(store, location, before=_an_hour_ago())

    upkeep.orphans(AT_ONCE)
    assert key not in table_objects(store, location)
    assert lane.lake_rows() == rows
    assert_proven(lane)


def _an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)
