"""Starts a combination for a test."""

from __future__ import annotations

import socket
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
    wanted = item.config.getoption("--record", default=False)
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    combination: Combination | None = parameters.get("combination")
    if wanted and combination is not None and (report.when == "call" or report.failed):
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
    if combination.resolves and not _resolves(combination.resolves):
        pytest.skip(f"no libnss_wrapper, so {combination.resolves} leads nowhere")
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
    if combination.oauth2:
        env = platform.env
        overrides["IOT_CATALOG__AUTH"] = "oauth2"
        overrides["IOT_CATALOG__CREDENTIAL"] = (
            f"{env['IOT_S3__ACCESS_KEY']}:{env['IOT_S3__SECRET_KEY']}"
        )
        overrides["IOT_CATALOG__OAUTH2_SERVER_URI"] = f"{env['IOT_CATALOG__URI']}/v1/oauth/tokens"
    with TestLane(platform, tmp_path / "lane", "compat", overrides=overrides) as lane:
        if combination.bucket:
            s3.connect(lane.settings.s3).create_bucket(Bucket=combination.bucket)
        yield lane


def _resolves(domain: str) -> bool:
    try:
        return socket.gethostbyname(f"lake.{domain}") == "127.0.0.1"
    except OSError:
        return False
