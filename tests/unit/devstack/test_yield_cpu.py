"""A service that yields the CPU does so against other sessions too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.process import yield_cpu


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of a session of its own, as every service is."""
    started = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    )
    yield started
    started.kill()
    started.communicate()


def test_session_and_threads_have_the_lowest_priority(process: subprocess.Popen[bytes]) -> None:
    """The session's niceness is what counts where Linux groups by session, else the threads'."""
    yield_cpu(process.pid)

    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    group = Path(f"/proc/{process.pid}/autogroup")
    if group.exists():
        assert group.read_text(encoding="ascii").strip().endswith("nice 19")


def test_a_process_that_has_ended_is_no_error(process: subprocess.Popen[bytes]) -> None:
    """It may die at any moment."""
    process.kill()
    process.wait()

    yield_cpu(process.pid)
