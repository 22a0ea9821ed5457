"""Lanes whose messages were stored by both paths, on the platform with Trino."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from pipelines.trino_client import Trino
from tests.integration.proof.scenario import MESSAGES, payloads, provision, store
from tests.lake.quality.support import trino_of
from tests.support.lane import TestLane


@pytest.fixture
def stored(lake_lane: TestLane) -> TestLane:
    """A lane with MESSAGES messages in both sinks and no writer running."""
    provision(lake_lane)
    lake_lane.publish(payloads())
    store(lake_lane, MESSAGES)
    return lake_lane


@pytest.fixture
def clickhouse(stored: TestLane) -> Iterator[Client]:
    """A client of the hot table's server."""
    client = stored.clickhouse()
    yield client
    client.close()


@pytest.fixture
def trino(stored: TestLane) -> Trino:
    """The platform's Trino."""
    return trino_of(stored)
