"""A machine at rest before a measurement, and what others took of it during one."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

from benchmarks.usage import Usage

BOUND_CORES = 0.25
"""The platform at rest is below it: its servers look at their own state now and then."""
PATIENCE_S = 60.0
WINDOW_S = 1.0


@dataclass(frozen=True)
class Rest:
    """How long was waited for rest, and how many cores were busy in the last window."""

    waited_s: float
    busy_cores: float

    @property
    def found(self) -> bool:
        """Whether the machine came to rest."""
        return self.busy_cores <= BOUND_CORES


def await_rest(patience_s: float = PATIENCE_S) -> Rest:
    """Waits until at most ``BOUND_CORES`` cores are busy, and no longer than ``patience_s``."""
    started = time.monotonic()
    while True:
        before, since = busy_s(), time.monotonic()
        time.sleep(WINDOW_S)
        cores = (busy_s() - before) / (time.monotonic() - since)
        rest = Rest(time.monotonic() - started, cores)
        if rest.found or rest.waited_s >= patience_s:
            return rest


def busy_s() -> float:
    """CPU seconds that all cores have worked since the machine started."""
    times = psutil.cpu_times()._asdict()
    # Time of guests is in user and nice already.
    apart = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(value for name, value in times.items() if name not in apart))


class Others:
    """Cores that all processes use, from now on, but this one with what it started."""

    def __init__(self) -> None:
        self._own = Usage(os.getpid())
        self._since = time.monotonic()
        self._before = self._used()

    def cores(self) -> float:
        """Cores in use by others, on average since the beginning."""
        return max(0.0, (self._used() - self._before) / (time.monotonic() - self._since))

    def _used(self) -> float:
        return busy_s() - self._own.cpu_s()
