"""Trino with `devstack up --with trino`, as a person starts and loses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from pydantic import SecretStr

from devstack.state import read_lock
from devstack.supervisor import Devstack
from pipelines.errors import TrinoUnavailable
from pipelines.settings import TrinoSettings
from pipelines.trino_client import Trino
from tests.support.waiting import until

DEVSTACK = (sys.executable, "-m", "devstack")
HEALTHY_S = 180.0


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [*DEVSTACK, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=HEALTHY_S)


def client(env: dict[str, str]) -> Trino:
    """A Trino client from a stack's settings."""
    return Trino(
        TrinoSettings(
            url=SecretStr(env["IOT_TRINO__URL"]), ca_file=Path(env["IOT_TRINO__CA_FILE"])
        ),
        patient=False,
    )


def test_a_platform_with_trino_ends_when_trino_dies(tmp_path: Path) -> None:
    """Up --with trino, status, env, logs; a killed Trino takes the platform down and is named."""
    folder = ("--dir", tmp_path / "stack")
    up = run(
        *("up", "--detach", "--ephemeral-ports", "--service", "seaweedfs", "--with", "trino"),
        *folder,
    )
    assert up.returncode == 0, up.stderr
    holder = read_lock(tmp_path / "stack")
    assert holder is not None
    try:
        told = json.loads(run("status", "--output", "json", *folder).stdout)
        assert (told["healthy"], set(told["services"])) == (True, {"seaweedfs", "trino"})
        env = (tmp_path / "stack/env").read_text()
        assert "IOT_TRINO__CA_FILE=" in env
        assert str(urlsplit(env.split("IOT_TRINO__URL=")[1]).password) not in up.stdout
        assert "SERVER STARTED" in run("logs", "trino", "-n", "200", *folder).stdout
        trino = told["services"]["trino"]["pid"]
        os.kill(trino, signal.SIGKILL)
        until(lambda: read_lock(tmp_path / "stack") is None, "the platform ends")
    finally:
        run("down", *folder)
    until(lambda: not psutil.pid_exists(told["services"]["seaweedfs"]["pid"]), "all are gone")
    assert "trino died; its log is" in (tmp_path / "stack/up.log").read_text()


def test_a_killed_trino_comes_back_to_the_same_lake(tmp_path: Path) -> None:
    """On its ports, with its password; what it committed is there, also on other ports."""
    with Devstack(tmp_path, ("seaweedfs", "trino"), ephemeral_ports=True) as stack:
        trino = client(stack.env)
        trino.execute("CREATE SCHEMA iceberg.kept")
        trino.execute("CREATE TABLE iceberg.kept.t AS SELECT 1 AS a")
        stack.kill("trino")
        assert not stack.is_running("trino")
        with pytest.raises(TrinoUnavailable):
            trino.query("SELECT 1")
        stack.start_service("trino")
        assert trino.query("SELECT a FROM iceberg.kept.t") == [(1,)]
    with Devstack(tmp_path, ("seaweedfs", "trino"), ephemeral_ports=True) as again:
        assert client(again.env).query("SELECT a FROM iceberg.kept.t") == [(1,)]


def test_a_killed_parent_leaves_no_trino(tmp_path: Path) -> None:
    """The kernel takes it along."""
    program = (
        "import sys, time; from pathlib import Path; from devstack.supervisor import Devstack\n"
        "stack = Devstack(Path(sys.argv[1]), ('trino',), ephemeral_ports=True)\n"
        "stack.start(); print(stack.pid('trino'), flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout as output:
        trino = int(output.readline())
    parent.kill()
    parent.wait()
    until(lambda: not psutil.pid_exists(trino), "Trino is gone")
