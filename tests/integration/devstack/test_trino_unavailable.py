"""Where Trino cannot be had, everything else works and says what is missing and how to get it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
DEVSTACK = (sys.executable, "-m", "devstack")
NOBODY = "http://127.0.0.1:1/maven2"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs a command where no Maven repository answers and the cache is empty."""

    def command(*arguments: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
        cache = str(tmp_path / "cache")
        env = {**os.environ, "DEVSTACK_CACHE_DIR": cache, "DEVSTACK_MAVEN_URL": NOBODY, **changes}
        words = [*DEVSTACK, *map(str, arguments)]
        return subprocess.run(
            words, env=env, capture_output=True, text=True, check=False, timeout=90
        )

    yield command
    command("down", "--dir", tmp_path / "stack")


def test_the_others_start_and_it_says_how_to_get_trino(run: Run, tmp_path: Path) -> None:
    """One sentence on stderr; status is healthy, and clients are told of no Trino."""
    folder = ("--dir", tmp_path / "stack")
    wanted = ("--service", "nats", "--with", "trino", "--ephemeral-ports")
    up = run("up", "--detach", *wanted, *folder)
    assert up.returncode == 0, up.stderr
    *_, told = up.stderr.strip().splitlines()
    assert told.startswith("devstack: goes on without Trino. ")
    assert NOBODY in told
    assert "`devstack trino fetch`" in told
    assert "DEVSTACK_MAVEN_URL" in told
    services = json.loads(run("status", "--output", "json", *folder).stdout)
    assert (services["healthy"], set(services["services"])) == (True, {"nats"})
    assert "TRINO" not in (tmp_path / "stack/env").read_text()


def test_trino_alone_that_cannot_be_had_is_a_failure(run: Run, tmp_path: Path) -> None:
    """Exit 1 and how to get it."""
    up = run("up", "--service", "trino", "--dir", tmp_path / "stack")
    assert up.returncode == 1
    assert "cannot be read" in up.stderr


def test_a_fetch_that_fails_is_one_sentence(run: Run, tmp_path: Path) -> None:
    """Exit 1; the cause and the way out, no stack."""
    fetch = run("trino", "fetch")
    assert fetch.returncode == 1
    assert "Traceback" not in fetch.stderr
    assert fetch.stderr.splitlines()[-1].startswith(f"devstack: {NOBODY}/io/trino/trino-server/")


def test_a_cache_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    """With the setting that chooses another."""
    (tmp_path / "file").touch()
    fetch = run("trino", "fetch", DEVSTACK_CACHE_DIR=str(tmp_path / "file"))
    assert fetch.returncode == 1
    assert "choose another folder with DEVSTACK_CACHE_DIR" in fetch.stderr
