"""The demonstration as a new user runs it, in a folder of its own, with a small fleet."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
READINGS = "5000"
SEED = 20_260_101
INTERRUPTS = 5
FIRST_PHASES_S = 6.0
ENDS_WITHIN_S = 15.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the demonstration lives."""
    return tmp_path / "demo"


def start(folder: Path, **env: str) -> subprocess.Popen[str]:
    """Starts a demonstration without a terminal."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--dir", str(folder), "--readings", READINGS],
        cwd=ROOT,
        env={**kept, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout_s: float = 100.0) -> tuple[int, str]:
    """Exit code and output of a demonstration."""
    output, _ = process.communicate(timeout=timeout_s)
    return process.returncode, output


def living_in(folder: Path) -> list[str]:
    """Processes whose current folder or arguments lie in ``folder``."""
    found = []
    for process in psutil.process_iter():
        try:
            inside = process.cwd().startswith(str(folder))
            named = any(str(folder) in one for one in process.cmdline())
            if (inside or named) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except psutil.Error:
            continue
    return found


def require_nothing_left(folder: Path) -> None:
    """Fails unless every process in ``folder`` is gone as soon as the kernel gets to it."""
    until(lambda: not living_in(folder), f"an end of all processes in {folder}", timeout_s=5)


@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_whatever_was_interrupted_each_run_proves_its_own_data(folder: Path) -> None:
    """Interrupts at random moments leave no process and nothing that breaks the next run.

    Two whole runs after them both prove that every sink holds what was sent, and leave nothing;
    settings of the shell lead neither of them elsewhere.
    """
    moments = random.Random(SEED)
    for _ in range(INTERRUPTS):
        process = start(folder)
        time.sleep(moments.uniform(0.3, FIRST_PHASES_S))  # the moment is what is tested
        process.send_signal(signal.SIGINT)
        code, output = finish(process, ENDS_WITHIN_S)

        assert code == 130 or "KeyboardInterrupt" in output, output
        require_nothing_left(folder)

    for _ in range(2):
        code, output = finish(start(folder, IOT_NATS__URL="nats://127.0.0.1:1"))

        assert code == 0, output
        assert "every sink holds what was sent, once" in output
        assert "PROVEN READINGS" in output
        assert "Temperature by the minute" in output
        require_nothing_left(folder)


@pytest.mark.timeout(120)
def test_a_killed_demonstration_takes_its_processes_along(folder: Path) -> None:
    """When the demonstration itself is killed, no server or writer outlives it."""
    process = start(folder)
    until(lambda: len(living_in(folder)) >= 8, "servers and writers", timeout_s=60)

    process.kill()
    finish(process)

    require_nothing_left(folder)


@pytest.mark.timeout(120)
def test_a_second_one_in_the_same_folder_is_refused(folder: Path) -> None:
    """A folder in use is one sentence and exit 1; the one that runs there is not disturbed."""
    first = start(folder)
    try:
        until((folder / ".devstack").exists, "the first to own its folder")

        code, output = finish(start(folder))

        assert code == 1
        assert output.strip().splitlines() == [f"failed: another demonstration runs in {folder}"]
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGINT)
        finish(first, ENDS_WITHIN_S)


def test_a_server_that_dies_ends_the_demonstration(folder: Path) -> None:
    """When a server dies the demonstration says so in one sentence, exits 1, leaves nothing."""
    process = start(folder)
    victim = until(lambda: _of(folder, "nats-server"), "the NATS server", timeout_s=60)
    victim.kill()

    code, output = finish(process)

    assert code == 1, output
    assert "failed: " in output
    require_nothing_left(folder)


def _of(folder: Path, name: str) -> psutil.Process | None:
    for line in living_in(folder):
        pid, _, command = line.partition(" ")
        if name in command:
            return psutil.Process(int(pid))
    return None
