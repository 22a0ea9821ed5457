"""Lanes whose messages were stored by both paths."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from tests.integration.proof.scenario import MESSAGES, payloads, provision, store
from tests.support.lane import TestLane


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
