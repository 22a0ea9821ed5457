"""docker-compose.yml on a Docker daemon, with stand-ins for the images of the servers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.compose.project import ROOT, Project
from tests.containers.image.container import daemon_answers

BUILD_WITHIN_S = 1200


def made(script: str, *arguments: str) -> str:
    """The last line that a script of tests/images prints, which is what it made."""
    command = [str(ROOT / "tests" / "images" / script), *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=BUILD_WITHIN_S, check=False
    )
    assert done.returncode == 0, f"tests/images/{script} failed; the lines above say why"
    return done.stdout.strip().splitlines()[-1]


def program(*arguments: str) -> Path:
    """Compose itself, built where it is not there yet."""
    if shutil.which("go") is None:
        pytest.skip("no Go, so Compose cannot be built")
    return Path(made("compose.sh", *arguments))


@pytest.fixture(scope="session")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of passwords as `make env` makes it."""
    path = tmp_path_factory.mktemp("compose") / "env"
    subprocess.run([sys.executable, ROOT / "scripts" / "env.py", path], check=True)
    return path


@pytest.fixture(scope="session")
def compose() -> Path:
    """Compose's own program."""
    return program("--no-images")


@pytest.fixture
def project(passwords: Path) -> Iterator[Project]:
    """A project of the test's own; its containers and volumes are gone afterwards."""
    if not daemon_answers():
        pytest.skip("no Docker daemon answers")
    made("iot.sh")
    with Project(program(), passwords) as fresh:
        yield fresh
