"""What the tests of the products share."""

from __future__ import annotations

import pytest

from pipelines.trino_client import Trino
from tests.support.lakehouse import lakehouse_of
from tests.support.lane import TestLane


@pytest.fixture
def trino(lake_lane: TestLane) -> Trino:
    """Statements on the platform's Trino."""
    return lakehouse_of(lake_lane).trino()
