"""The real platform for every integration test, started once; a fresh lane for each test.

`--platform` chooses between the embedded platform and containers.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.lane import TestLane
from tests.support.platforms import KINDS, Platform, StartPlatform
from tests.support.platforms import start_platform as starter
from tests.support.skips import allowed_skips

ROOT = Path(__file__).parent.parent

# A shell lets its background jobs ignore Ctrl-C, and all that they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no defect.
hypothesis.settings.register_profile("without_timings", deadline=None)
hypothesis.settings.load_profile("without_timings")

# Folders of tests that cannot run on containers; single tests have the mark `embedded`.
EMBEDDED = {
    "tests/chaos/": "reaches into the servers' files and processes",
    "tests/integration/demo/": "starts it by itself",
    "tests/integration/devstack/": "tests it",
    "tests/integration/simulator/": "starts servers of its own",
    "tests/lake/": "needs Trino beside the servers",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --platform."""
    parser.addoption(
        "--platform",
        choices=KINDS,
        default=KINDS[0],
        help="what the servers of integration tests are: the embedded platform, or containers",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Removes containers that an earlier run could not remove, for it was killed."""
    _sweep_containers(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes containers of workers that were killed."""
    _sweep_containers(config)


def _sweep_containers(config: pytest.Config) -> None:
    if config.getoption("platform", default=KINDS[0]) == "containers":
        from tests.support.containers import sweep

        if not hasattr(config, "workerinput"):
            sweep()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On containers, tests of the embedded platform alone are skipped with their reason."""
    if config.getoption("platform") != "containers":
        return
    for item in items:
        why = [mark.args[0] for mark in item.iter_markers("embedded")]
        why += [reason for path, reason in EMBEDDED.items() if item.nodeid.startswith(path)]
        for reason in why:
            item.add_marker(pytest.mark.skip(reason=f"only on the embedded platform: {reason}"))


@pytest.fixture(scope="session")
def start_platform(pytestconfig: pytest.Config) -> StartPlatform:
    """What starts a platform of the chosen kind; all tests get theirs from it."""
    return starter(pytestconfig.getoption("platform"))


@pytest.fixture(scope="session")
def stack(
    start_platform: StartPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """The platform on free ports, shared by the whole run."""
    with start_platform(tmp_path_factory.mktemp("platform")) as running:
        yield running


@pytest.fixture
def own_stack(start_platform: StartPlatform, tmp_path: Path) -> Iterator[Platform]:
    """A platform of the test's own, for tests that kill its servers."""
    with start_platform(tmp_path / "platform") as running:
        yield running


@pytest.fixture
def lane(stack: Platform, tmp_path: Path) -> Iterator[TestLane]:
    """A lane with stream and tables of its own on the shared platform."""
    with TestLane(stack, tmp_path, secrets.token_hex(4)) as fresh:
        yield fresh


@pytest.fixture
def own_lane(own_stack: Platform, tmp_path: Path) -> Iterator[TestLane]:
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
