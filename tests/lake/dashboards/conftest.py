"""A lake under the names of the dashboards, with days that are summarised, on the real Trino."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from devstack.supervisor import Devstack
from pipelines.cancel import Cancel
from pipelines.daily_summary import DailySummary
from tests.integration.dashboards.standard import StandardLane, readings
from tests.support.lakehouse import lakehouse_of

COUNT = 100
DAYS = 3


@pytest.fixture(scope="session")
def history(
    trino_stack: Devstack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StandardLane]:
    """Readings of today and the days before, in the lake, and the summary of each day."""
    with StandardLane(trino_stack, tmp_path_factory.mktemp("history"), "dashboards") as lane:
        lane.init()
        now = datetime.now(UTC)
        for back in range(DAYS):
            lane.publish(readings(COUNT, now - timedelta(days=back)))
        writer = lane.start("lake")
        lane.wait_lake(DAYS * (COUNT + 1))
        assert writer.drain() == 0
        trino = lakehouse_of(lane).trino()
        daily = DailySummary(trino, lane.contract, lane.sink(), late_after_s=3600.0)
        source = daily.source()
        assert source is not None
        for one in daily.outdated():
            daily.summarise(one.day, source, Cancel())
        yield lane
