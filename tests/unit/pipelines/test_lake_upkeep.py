"""When orphans may be removed, the statement of a unit, and the floors of retentions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ingest.contract import load_contract
from ingest.errors import SettingsError
from pipelines.compaction import merge_sql
from pipelines.lake_debt import Unit
from pipelines.lake_files import LakeFile
from pipelines.lake_periods import period
from pipelines.lake_upkeep import upload_may_wait
from pipelines.settings import load_pipeline_settings

NOW = datetime(2026, 6, 10, tzinfo=UTC)
WEEK = timedelta(days=7)


def test_a_lane_that_is_up_to_date_has_no_upload_waiting() -> None:
    """However long ago it committed."""
    assert upload_may_wait(NOW - timedelta(days=400), 0, WEEK, NOW) is None
    assert upload_may_wait(None, 0, WEEK, NOW) is None


def test_a_lane_that_lags_but_commits_has_no_old_upload_waiting() -> None:
    """What waits was uploaded after its last commit."""
    assert upload_may_wait(NOW - timedelta(days=6), 10, WEEK, NOW) is None


def test_a_lane_that_has_not_committed_for_the_retention_keeps_its_orphans() -> None:
    """One of them may be an upload whose commit lands tomorrow."""
    told = upload_may_wait(NOW - timedelta(days=8), 1_234, WEEK, NOW)

    assert told is not None
    assert "1,234 messages" in told
    assert "192.0 h ago, 168 h" in told
    assert upload_may_wait(None, 1, WEEK, NOW) is not None


def test_the_statement_names_the_units_files_and_partition_only() -> None:
    """Paths are literals; the threshold lets in the largest of them."""
    day = period("day", date(2026, 6, 1))
    files = tuple(
        LakeFile(f"s3://lake/it's/{n}", size, 1, day, n, 1, deletes=False)
        for n, size in enumerate((10, 5 << 20))
    )

    sql = merge_sql("iceberg", load_contract("readings"), Unit(day.label, day, files))

    assert sql == (
        'ALTER TABLE "iceberg"."iot"."readings" EXECUTE optimize(file_size_threshold => \'6MB\')'
        " WHERE \"$path\" IN ('s3://lake/it''s/0', 's3://lake/it''s/1')"
        " AND \"ts\" >= TIMESTAMP '2026-06-01 00:00:00.000000 UTC'"
        " AND \"ts\" < TIMESTAMP '2026-06-02 00:00:00.000000 UTC'"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maintenance__orphan_retention_h", "23.9"),
        ("maintenance__snapshot_retention_h", "0.5"),
        ("maintenance__unit_max_files", "1"),
        ("maintenance__min_files", "1"),
    ],
)
def test_a_setting_below_its_floor_is_refused_by_name(
    tmp_path: Path, name: str, value: str
) -> None:
    """A retention that would endanger the table never gets to Trino."""
    with pytest.raises(SettingsError, match=name.upper()):
        load_pipeline_settings(tmp_path, **{name: value})
