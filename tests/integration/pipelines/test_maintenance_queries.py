"""Queries of maintenance in ClickHouse leave its other threads to the writers."""

from __future__ import annotations

from tests.support.lakehouse import lakehouse_of
from tests.support.lane import TestLane


def test_a_query_of_maintenance_uses_the_threads_that_the_settings_allow(lane: TestLane) -> None:
    """`maintenance.threads` is what the server gives; a writer's connection is not bound by it."""
    lakehouse = lakehouse_of(lane)
    allowed = lakehouse.pipeline_settings.maintenance.threads

    with lakehouse.clickhouse() as client:
        threads = client.query("SELECT getSetting('max_threads')").result_rows[0][0]

    assert int(threads) == allowed
    assert lane.settings.clickhouse.query_threads == 0
