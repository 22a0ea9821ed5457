"""Child processes that log to a file and never outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import psutil  # type: ignore[import-untyped]

from devstack.service import Launch

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02
LOWEST = 19
"""Niceness that yields most."""
BEHIND_HOT_PATH = 10
"""Niceness of Dagster on the hot path's machine: behind it, but never without any CPU time."""


class Child:
    """A service process, leader of its own session and process group."""

    def __init__(self, launch: Launch, log: Path) -> None:
        """Start a process whose output is appended to `log`."""
        # Linux ties the death signal to the starting thread, so one lasting thread starts all.
        self._starting = _on_starter(lambda: _start(launch, log))

    @property
    def pid(self) -> int:
        """The process id. Raises `OSError` when the program cannot be run."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        return self._starting.result()

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the whole group now and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, grace_s: float) -> None:
        """End the process politely; after `grace_s` seconds kill it."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)
            # A stopped process would never see the first signal.
            self._process.send_signal(signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        self.kill()


def yield_cpu(pid: int, niceness: int = LOWEST) -> None:
    """Let a session that began with process `pid` wait for CPU time behind all others.

    With the lowest niceness it gets about what nobody else wants, with 10 a tenth at least.
    Linux shares CPU time between sessions first (autogroup, see sched(7)), so that the niceness of
    a process counts only inside its own; where that is off, its threads' niceness counts.
    """
    group = Path(f"/proc/{pid}/autogroup")
    with suppress(OSError):
        group.write_text(str(niceness), encoding="ascii")
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, int(thread.name), niceness)


def created(pid: int) -> float | None:
    """When process `pid` was made, seconds since 1970; None when it has ended."""
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return None if ended else float(process.create_time())
    except psutil.Error:
        return None


def kill_leftover(pid: int, started: float) -> bool:
    """Kill the group of a process of an earlier run; true if it was still that process."""
    found = created(pid)
    if found is None or abs(found - started) > 1.0:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    while created(pid) == found:
        time.sleep(_POLL_S)
    return True


def _start(launch: Launch, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            launch.arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **launch.environment},
            cwd=launch.directory,
            start_new_session=True,
            # It only calls into libc, which is loaded before the fork.
            preexec_fn=_death_bond(),  # noqa: PLW1509
        )


def _on_starter(start: Callable[[], subprocess.Popen[bytes]]) -> Future[subprocess.Popen[bytes]]:
    """Have the starting thread call `start`."""
    started: Future[subprocess.Popen[bytes]] = Future()
    _starter().put((start, started))
    return started


@cache
def _starter() -> SimpleQueue[Any]:
    """The queue of a thread that lasts as long as this process and does not hold it up."""
    queue: SimpleQueue[Any] = SimpleQueue()

    def serve() -> None:
        while True:
            start, started = queue.get()
            try:
                started.set_result(start())
            except (OSError, subprocess.SubprocessError) as error:
                started.set_exception(error)

    Thread(target=serve, name="devstack-starter", daemon=True).start()
    return queue


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _death_bond() -> Callable[[], None] | None:
    """What a child runs before its program: ask Linux to be killed when its parent dies."""
    if sys.platform != "linux":
        return None
    parent, libc = os.getpid(), _libc()

    def bond() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return bond
