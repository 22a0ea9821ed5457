"""Starts a combination for a test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from devstack.supervisor import SERVICES, Devstack
from ingest import s3
from tests.compatibility import record
from tests.compatibility.combination import Combination
from tests.compatibility.made import made
from tests.support.lane import TestLane


def pytest_addoption(parser: pytest.Parser) -> None:
    """--record."""
    parser.addoption("--record", action="store_true", help="Keep each result in results.json.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keeps the result of a combination when that was asked for."""
    report = yield
    over = report.when == "call" or report.failed
    if over and item.config.getoption("--record", default=False) and hasattr(item, "callspec"):
        combination: Combination = item.callspec.params["combination"]
        notes = tuple(map(str, dict(item.user_properties).get("notes", ())))  # type: ignore[call-overload]
        record.add(combination.name, combination.server, report.outcome, report.duration, notes)
    return report


@pytest.fixture
def combination(request: pytest.FixtureRequest) -> Combination:
    """The one that the test is parametrised by."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def platform(
    combination: Combination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Devstack]:
    """Its servers, running."""
    for variable, what in combination.programs.items():
        monkeypatch.setenv(variable, made(*what))
    for service in combination.services:
        monkeypatch.setitem(SERVICES, service.name, service)
    names = [service.name for service in combination.services]
    with Devstack(tmp_path / "platform", names, ephemeral_ports=True) as running:
        yield running


@pytest.fixture
def pipeline(combination: Combination, platform: Devstack, tmp_path: Path) -> Iterator[TestLane]:
    """A lane on these servers; nothing of it is made yet."""
    overrides = dict(combination.variables)
    with TestLane(platform, tmp_path / "lane", "compat", overrides=overrides) as lane:
        if combination.bucket:
            s3.connect(lane.settings.s3).create_bucket(Bucket=combination.bucket)
        yield lane
