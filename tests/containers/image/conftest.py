"""Our image, built once a run, and containers of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.image.container import Box, daemon_answers
from tests.support.lane import TestLane

ROOT = Path(__file__).parents[3]
BUILD_WITHIN_S = 900


@pytest.fixture(scope="session")
def image() -> str:
    """The image to test: what TEST_IMAGE_IOT names, or the Dockerfile's, built as it is now."""
    if not daemon_answers():
        pytest.skip("no Docker daemon answers")
    named = os.environ.get("TEST_IMAGE_IOT")
    if named:
        return named
    done = subprocess.run(
        [ROOT / "tests" / "images" / "iot.sh"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=BUILD_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, "the image was not built; tests/images/iot.sh says why"
    return done.stdout.strip()


@pytest.fixture
def free_port() -> int:
    """A port on the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def box(image: str, tmp_path: Path) -> Iterator[Box]:
    """Containers that know nobody."""
    with Box(image, tmp_path / "box") as fresh:
        yield fresh


@pytest.fixture
def lane_box(image: str, lane: TestLane, tmp_path: Path) -> Iterator[Box]:
    """Containers with the settings of the test's lane, on the servers of the platform."""
    env = {name: value for name, value in lane.env.items() if name.startswith("IOT_")}
    env |= {"IOT_LAKE__SPOOL_DIR": "/spool", "IOT_LOG__FORMAT": "json"}
    # The folders of pytest are their owner's alone.
    contract = tmp_path / "contract.toml"
    shutil.copy(lane.contract_file, contract)
    contract.chmod(0o644)
    env["IOT_CONTRACT"] = "/contract.toml"
    with Box(image, tmp_path / "box", env, (f"{contract}:/contract.toml:ro",)) as fresh:
        yield fresh
