"""The real platform for every integration test, started once; a fresh lane for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lane import TestLane
from tests.support.skips import allowed_skips

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The embedded platform on free ports, shared by the whole run."""
    from devstack.supervisor import Devstack

    with Devstack(tmp_path_factory.mktemp("devstack"), ephemeral_ports=True) as running:
        yield running


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[object]:
    """A platform of the test's own, for tests that kill its servers."""
    from devstack.supervisor import Devstack

    with Devstack(tmp_path / "devstack", ephemeral_ports=True) as running:
        yield running


@pytest.fixture
def lane(stack: object, tmp_path: Path) -> Iterator[TestLane]:
    """A lane with stream and tables of its own on the shared platform."""
    with TestLane(stack, tmp_path, secrets.token_hex(4)) as fresh:
        yield fresh


@pytest.fixture
def own_lane(own_stack: object, tmp_path: Path) -> Iterator[TestLane]:
    """A lane on a platform of the test's own."""
    with TestLane(own_stack, tmp_path, secrets.token_hex(4)) as fresh:
        yield fresh


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no IOT_* variable of the shell they run in."""
    for name in list(os.environ):
        if name.startswith("IOT_"):
            monkeypatch.delenv(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """In CI a skip fails unless tests/allowed_skips.txt names the test and the reason."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if (item.nodeid, reason.removeprefix("Skipped: ")) not in allowed_skips(ROOT):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped in CI without leave: {reason}"
    return report
