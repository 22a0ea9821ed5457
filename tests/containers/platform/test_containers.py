"""The platform in containers: reached from this machine alone, and gone when the run is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support.containers import OWNER, owner, sweep
from tests.support.lane import TestLane
from tests.support.platforms import StartPlatform
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]

# A run of its own that says that its servers are up, and waits to be ended.
RUN = """
import time
def test_waits(stack):
    print("servers are up", flush=True)
    time.sleep(100)
"""


@pytest.fixture(autouse=True)
def _only_in_containers(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("platform") != "containers":
        pytest.skip("the platform is not in containers; pytest --platform=containers")


def owned_by(pid: int) -> list[Any]:
    """Containers and networks of a process."""
    with closing(docker.from_env()) as client:
        wanted = {"label": f"{OWNER}={owner(pid)}"}
        containers: list[Any] = client.containers.list(all=True, filters=wanted)
        return [*containers, *client.networks.list(filters=wanted)]


@pytest.fixture
def run(tmp_path: Path) -> subprocess.Popen[str]:
    """A pytest of its own in the middle of a test, with containers."""
    file = tmp_path / "test_waits.py"
    file.write_text(RUN, encoding="utf-8")
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--platform=containers", "-s"]
    folder = f"--basetemp={tmp_path / 'base'}"
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-c", "pyproject.toml", *options, folder, str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    while "servers are up" not in said:
        line = process.stdout.readline()
        assert line, f"the run ended before its servers were up: {said}"
        said += line
    assert len(owned_by(process.pid)) == 5, "four containers and a network"
    return process


def test_an_interrupted_run_leaves_nothing(run: subprocess.Popen[str]) -> None:
    """Ctrl-C in the middle of a test removes its containers and its network."""
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)

    assert owned_by(run.pid) == []


def test_what_a_killed_run_leaves_is_removed_by_the_next(run: subprocess.Popen[str]) -> None:
    """The containers of a process that is gone are swept away, those of one that lives are not."""
    sweep()
    assert len(owned_by(run.pid)) == 5

    run.kill()
    run.communicate(timeout=10)
    sweep()

    until(lambda: not owned_by(run.pid), "nothing of the killed run to be left", 20)


def test_ports_are_published_on_the_loopback_alone(lane: TestLane) -> None:
    """No other machine can reach a server of the tests."""
    del lane
    with closing(docker.from_env()) as client:
        containers = client.containers.list(filters={"label": f"{OWNER}={owner(os.getpid())}"})
        published = [
            address["HostIp"]
            for container in containers
            for addresses in container.ports.values()
            for address in addresses or ()
        ]

    assert published
    assert set(published) == {"127.0.0.1"}


def test_data_survives_a_kill(start_platform: StartPlatform, tmp_path: Path) -> None:
    """A server that is killed and started again has its data, at the same address."""
    with start_platform(tmp_path / "own") as own, TestLane(own, tmp_path / "lane", "again") as lane:
        lane.init()
        lane.publish(lane.readings(20))
        for path in ("hot", "lake"):
            lane.start(path)
        lane.wait_hot(20, 90)
        lane.wait_lake(20, 90)
        for writer in lane.writers:
            writer.kill()
        for name in ("nats", "clickhouse", "seaweedfs"):
            own.kill(name)
            own.start_service(name)

        assert lane.state().last_seq == 20
        assert lane.hot_rows() == lane.lake_rows() == [(number, 0) for number in range(1, 21)]
