"""Several writers, each a process: both paths, all lanes, so that none waits for another.

A process that failed in passing is started again after a pause. One that stopped for good (exit 2,
3) stays stopped while the other goes on; the supervisor then ends with its code.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog

from ingest.errors import EXIT_FAILED, EXIT_OK, EXIT_TERMINAL, EXIT_USAGE
from ingest.lane import Backoff
from ingest.settings import Settings
from ingest.settings_sources import env_name

log = structlog.get_logger(__name__)

POLL_S = 0.1
STEADY_S = 60.0
STAYS_STOPPED = {EXIT_OK, EXIT_USAGE, EXIT_TERMINAL}
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """The process of one path of one lane."""

    path: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    not_before: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(30.0, 0.5))
    ended_with: int | None = None
    told: bool = False

    def start(self) -> None:
        """Starts the process; it is told to drain when the supervisor dies."""
        self.started = time.monotonic()
        self.told = False
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.env},
            preexec_fn=_die_with_parent(),  # noqa: PLW1509
        )
        log.info("started", path=self.path, pid=self.process.pid)

    def look(self) -> None:
        """Notes an end, and starts again when it was one in passing."""
        if self.ended_with is not None:
            return
        if self.process is None:
            if time.monotonic() >= self.not_before:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        self.process = None
        if code in STAYS_STOPPED:
            self.ended_with = code
            log.log(20 if code == EXIT_OK else 40, "ended", path=self.path, exit_code=code)
            return
        if time.monotonic() - self.started > STEADY_S:
            self.backoff = Backoff(30.0, 0.5)
        pause = self.backoff.next()
        self.not_before = time.monotonic() + pause
        log.warning("starting_again", path=self.path, exit_code=code, pause_s=round(pause, 1))

    def look_while_stopping(self) -> None:
        """Notes an end; a process that no signal has reached yet is told to drain."""
        if self.ended_with is not None:
            return
        if self.process is None:
            self.ended_with = EXIT_OK
            return
        if not self.told:
            self.signal(signal.SIGTERM)
        code = self.process.poll()
        if code == -signal.SIGTERM:
            self.ended_with = EXIT_OK  # it had not begun to listen, so it had not begun to write
        elif code is not None:
            self.ended_with = EXIT_FAILED if code < 0 else code

    def signal(self, number: int) -> None:
        """Passes a signal on."""
        if self.process is not None and self.process.poll() is None:
            self.told = True
            self.process.send_signal(number)


def supervise(
    paths: Sequence[str], lanes: Sequence[Settings], contract: str | None, *, accept_loss: bool
) -> int:
    """Runs the paths of all lanes until they end; returns the worst exit code."""
    children = [
        _child(path, lane, contract, accept_loss=accept_loss) for lane in lanes for path in paths
    ]
    stopping = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            child.signal(number)

    # A terminal sends Ctrl-C to the whole group; the children are in a session of their own, so
    # that each interrupt reaches them once.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while any(child.ended_with is None for child in children):
        for child in children:
            if stopping:
                child.look_while_stopping()
            else:
                child.look()
        time.sleep(POLL_S)
    return max(child.ended_with or 0 for child in children)


def _child(path: str, lane: Settings, contract: str | None, *, accept_loss: bool) -> Child:
    command = [sys.executable, "-m", "ingest", "run", path]
    command += ["--contract", contract] if contract else []
    command += ["--accept-loss"] if accept_loss else []
    number = lane.lanes.only
    if number is None:
        return Child(path, command)
    ports = {f"http.{one}_port": getattr(lane.http, f"{one}_port") for one in ("hot", "lake")}
    env = {env_name(name): str(port) for name, port in ports.items()}
    return Child(f"{path} of lane {number}", [*command, "--lane", str(number)], env)


def _die_with_parent() -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def prepare() -> None:
        os.setsid()
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return prepare
