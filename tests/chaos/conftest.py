"""A platform whose servers a test may kill, stop or restore; whole again for the next test."""

from __future__ import annotations

import contextlib
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.supervisor import DEFAULT, Devstack
from tests.support.lane import TestLane

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder is for `make chaos`, but for what has the mark `short`."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("short") is None:
            item.add_marker("chaos")


@pytest.fixture(scope="session")
def rough_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """The embedded platform of all tests that are rough on its servers."""
    with Devstack(tmp_path_factory.mktemp("rough"), ephemeral_ports=True) as running:
        yield running


@pytest.fixture
def rough_lane(rough_stack: Devstack, tmp_path: Path) -> Iterator[TestLane]:
    """A fresh lane; afterwards every server runs and none is stopped."""
    try:
        with TestLane(rough_stack, tmp_path, secrets.token_hex(4)) as fresh:
            yield fresh
    finally:
        for name in DEFAULT:
            if rough_stack.is_running(name):
                with contextlib.suppress(ProcessLookupError):
                    rough_stack.signal(name, signal.SIGCONT)
            else:
                rough_stack.start_service(name)
