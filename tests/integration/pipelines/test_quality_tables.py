"""The checks that ask the tables: each green in order, each red on real damage; without Trino."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.client import Client

from pipelines import quality_schema, quality_tables
from pipelines.settings import MaintenanceSettings, PipelineSettings, QualitySettings
from tests.integration.proof.scenario import MESSAGES, payloads, provision, store
from tests.support.lane import TestLane, reading

BOUNDS = QualitySettings()


@pytest.fixture
def stored(lane: TestLane) -> TestLane:
    """A lane with MESSAGES messages in both sinks and no writer running."""
    provision(lane)
    lane.publish(payloads())
    store(lane, MESSAGES)
    return lane


@pytest.fixture
def clickhouse(stored: TestLane) -> Iterator[Client]:
    """A client of the hot table's server."""
    client = stored.clickhouse()
    yield client
    client.close()


def test_late_readings_are_counted_by_hour(stored: TestLane) -> None:
    """Readings whose event is older than the bound when they are stored make the check red."""
    assert quality_tables.late(stored.settings, stored.contract, BOUNDS).passed
    then = (datetime.now(UTC) - timedelta(hours=5)).isoformat().replace("+00:00", "Z")
    stored.publish([reading(number, ts=then) for number in range(100)])
    store(stored, MESSAGES + 100, "hot")

    found = quality_tables.late(stored.settings, stored.contract, BOUNDS)

    assert not found.passed
    assert found.text.startswith("100 of 399 readings of the last day came more than 3600 s after")
    assert "; since 20" in found.text
    assert (found.numbers["late"], found.numbers["readings"]) == (100, 399)
    assert 18_000 <= found.numbers["latest_s"] < 18_600
    assert sum(int(str(row[2])) for row in found.rows) == 100


def test_small_files_are_a_debt(stored: TestLane) -> None:
    """More files than merging would leave, beyond the bound, name their partitions."""
    for count in range(1, 4):
        stored.publish(stored.readings(5))
        store(stored, MESSAGES + 5 * count, "lake")

    def own(allowed: int) -> PipelineSettings:
        return PipelineSettings(
            maintenance=MaintenanceSettings(min_files=2),
            quality=QualitySettings(debt_files_max=allowed),
        )

    green = quality_tables.small_files(stored.settings, stored.contract, own(1000))
    red = quality_tables.small_files(stored.settings, stored.contract, own(1))

    assert green.passed
    assert not red.passed
    assert red.numbers["files_too_many"] >= 2
    assert red.numbers["files"] >= 4
    assert red.rows
    assert "1 files allowed" in red.text


def test_the_disks_last(stored: TestLane) -> None:
    """Free room and growth are ClickHouse's own figures; more days than there are is red."""
    contract = stored.contract
    green = quality_tables.disk_days(stored.settings, contract, BOUNDS)
    forever = QualitySettings(disk_days_min=1e12)
    red = quality_tables.disk_days(stored.settings, contract, forever)

    assert green.passed
    assert green.numbers["free_bytes"] > 0
    assert green.numbers["bytes_per_day"] >= green.numbers["table_bytes"] > 0
    assert not red.passed
    assert "1e+12 days are least" in red.text


def test_a_clickhouse_table_without_a_column_differs(stored: TestLane, clickhouse: Client) -> None:
    """A dropped column is named."""
    assert quality_schema.in_clickhouse(stored.settings).passed

    clickhouse.command(f"ALTER TABLE {stored.table} DROP COLUMN quality")

    found = quality_schema.in_clickhouse(stored.settings)
    assert not found.passed
    assert "has no column quality" in found.text


def test_a_contract_that_was_edited_is_not_in_force(stored: TestLane) -> None:
    """The file differs from the registry until it is applied."""
    assert quality_schema.in_force(stored.settings).passed
    text = stored.contract_file.read_text(encoding="utf-8")
    more = f'{text}\n[[columns]]\nname = "more"\ntype = "int64"\n'
    stored.contract_file.write_text(more, encoding="utf-8")

    found = quality_schema.in_force(stored.settings)
    assert not found.passed
    assert "add_column more" in found.text

    stored.ingest("schema", "apply")
    found = quality_schema.in_force(stored.settings)
    assert found.passed
    assert found.numbers["version"] == 2
