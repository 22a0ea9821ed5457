"""The commands, as a person types them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import until

DEVSTACK = (sys.executable, "-m", "devstack")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [*DEVSTACK, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def children(pid: int) -> list[psutil.Process]:
    """The processes below `pid`, now."""
    return psutil.Process(pid).children(recursive=True)


def test_a_day_with_a_detached_platform(tmp_path: Path) -> None:
    """Up --detach, status, env, logs, up again, down, down again, status."""
    folder = ("--dir", tmp_path / "stack")
    up = run("up", "--detach", "--ephemeral-ports", *folder)
    assert up.returncode == 0, up.stderr
    assert "Up in " in up.stdout
    assert "http://127.0.0.1:" in up.stdout
    try:
        status = run("status", "--output", "json", *folder)
        told = json.loads(status.stdout)
        assert (status.returncode, told["running"], told["healthy"]) == (0, True, True)
        assert set(told["services"]) == {"nats", "seaweedfs", "clickhouse"}

        exports = dict(
            shlex.split(line)[1].split("=", 1) for line in run("env", *folder).stdout.splitlines()
        )
        file = (tmp_path / "stack" / "env").read_text()
        assert exports == dict(line.split("=", 1) for line in file.splitlines())
        assert {"IOT_NATS__URL", "IOT_CLICKHOUSE__URL", "IOT_CATALOG__AUTH"} <= set(exports)

        assert "Server is ready" in run("logs", "nats", *folder).stdout
        again = run("up", *folder)
        assert again.returncode == 1
        assert again.stderr.count("\n") == 1
        assert "A devstack already runs in" in again.stderr

        os.kill(told["services"]["nats"]["pid"], signal.SIGSTOP)
        ill = run("status", *folder)
        assert ill.returncode == 1
        assert "NOT HEALTHY" in ill.stdout
        os.kill(told["services"]["nats"]["pid"], signal.SIGCONT)
    finally:
        down = run("down", *folder)
    assert (down.returncode, down.stderr) == (
        0,
        f"The devstack in {tmp_path / 'stack'} is stopped.\n",
    )
    assert not any(psutil.pid_exists(row["pid"]) for row in told["services"].values())
    assert run("down", *folder).returncode == 0
    assert run("status", *folder).returncode == 1


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "lock"),
        (signal.SIGTERM, "logs/nats.log"),
        (signal.SIGINT, "logs/clickhouse.log"),
        (signal.SIGHUP, "env"),
    ],
)
def test_a_signal_at_any_moment_ends_it_cleanly(
    tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    """Before, while and after services start: no process stays, the next start works."""
    command = [*DEVSTACK, "up", "--ephemeral-ports", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        until((tmp_path / moment).exists, "the moment has come", every_s=0.001)
        below = children(process.pid)
        process.send_signal(number)
        if moment == "env":
            process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, b"")
    until(lambda: not any(child.is_running() for child in below), "all children are gone")


def test_a_service_that_dies_ends_the_platform(tmp_path: Path) -> None:
    """One sentence names it and its log; the others are stopped."""
    command = [*DEVSTACK, "up", "--ephemeral-ports", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        until(lambda: "Up in" in up.stdout.readline(), "it is up")
        below = children(up.pid)
        next(child for child in below if "nats-server" in child.name()).kill()
        _, errors = up.communicate(timeout=20)
    assert up.returncode == 1
    assert errors == f"devstack: nats died; its log is {tmp_path / 'logs' / 'nats.log'}.\n"
    until(lambda: not any(child.is_running() for child in below), "all children are gone")


def test_what_is_missing_or_wrong_is_one_sentence(tmp_path: Path) -> None:
    """No traceback, and the exit code says whose mistake it is."""
    for command, code in ((("env",), 1), (("logs",), 1), (("up", "--service", "kafka"), 2)):
        done = run(*command, "--dir", tmp_path / "nothing")
        assert done.returncode == code
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr
    (tmp_path / "state.json").write_text("{")
    broken = run("up", "--detach", "--dir", tmp_path)
    assert (broken.returncode, broken.stderr.count("\n")) == (1, 1)
    assert "state.json is damaged; remove it" in broken.stderr


@pytest.mark.parametrize("command", ["", "up", "down", "status", "env", "logs"])
def test_every_command_explains_itself(command: str) -> None:
    """--help works and shows defaults."""
    done = run(*filter(None, [command]), "--help")
    assert done.returncode == 0
    assert not command or "[default: .devstack]" in done.stdout
