"""The platform with the real Trino, started once; a fresh lane for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.supervisor import Devstack
from devstack.trino.progress import Progress
from devstack.trino.ready import make_ready
from tests.support.lane import TestLane

HERE = Path(__file__).parent
TIMEOUT_S = 400
"""The first test also waits for Trino, which on a busy machine takes more than a minute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder the time that Trino and browsers take."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def trino_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """NATS, SeaweedFS, ClickHouse and Trino on free ports, shared by the whole run."""
    make_ready(Progress())
    folder = tmp_path_factory.mktemp("devstack-trino")
    services = ("nats", "seaweedfs", "clickhouse", "trino")
    with Devstack(folder, services, ephemeral_ports=True) as running:
        yield running


@pytest.fixture
def lake_lane(trino_stack: Devstack, tmp_path: Path) -> Iterator[TestLane]:
    """A lane with names of its own on the platform with Trino; `init()` is the test's to call."""
    with TestLane(trino_stack, tmp_path, secrets.token_hex(4)) as fresh:
        yield fresh
