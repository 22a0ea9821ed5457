"""CPU a message as a ratio that hardly depends on the machine and on what else it does.

Two things are measured in turn, in many short rounds: the work, and a fixed loop of what Python,
NumPy and the memory can do. Only the best round of each counts, since whatever disturbs a round
makes it slower. A slower machine, a lower clock or a busy neighbour in the same caches slows both,
and the ratio stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PER_MESSAGES = 10_000
"""The cost is that of so many messages, in loops of the calibration."""


@dataclass(frozen=True)
class Measured:
    """CPU seconds of each round: of the work on ``messages`` messages, and of the calibration."""

    messages: int
    work_s: Sequence[float]
    loop_s: Sequence[float]

    @property
    def cost(self) -> float:
        """Loops of the calibration that take as long as 10,000 messages."""
        return min(self.work_s) / self.messages * PER_MESSAGES / min(self.loop_s)

    @property
    def us(self) -> float:
        """CPU microseconds a message in the best round, on this machine as it is now."""
        return min(self.work_s) / self.messages * 1e6


def measure(work: Callable[[], object], messages: int, rounds: int) -> Measured:
    """Rounds of the work and of the calibration in turn; one of each before it counts."""
    loop = Calibration()
    work()
    loop.run()
    work_s, loop_s = [], []
    for _ in range(rounds):
        loop_s.append(cpu_of(loop.run))
        work_s.append(cpu_of(work))
    return Measured(messages, work_s, loop_s)


def cpu_of(call: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads together, that the call takes."""
    before = time.process_time()
    call()
    return time.process_time() - before


class Calibration:
    """A loop of about the mix that a message takes: objects, arrays, copies of memory."""

    def __init__(self) -> None:
        self._numbers = np.random.default_rng(1).integers(0, 1 << 40, 150_000)
        self._block = self._numbers.tobytes() * 4

    def run(self) -> int:
        """One loop; the result depends on all of it, so nothing can be left out."""
        texts = [b"%d.%d" % (number, number * 7) for number in range(40_000)]
        joined = b"\n".join(texts)
        parts = joined.split(b"\n")
        known = dict(zip(parts, range(len(parts)), strict=True))
        found = sum(map(known.__getitem__, reversed(parts))) + sum(map(len, parts))
        ordered = np.sort(self._numbers)
        steps = np.cumsum(np.diff(ordered)) + np.count_nonzero(self._numbers & 1)
        copied = sum(len(bytearray(self._block)) for _ in range(3))
        return found + int(steps[-1]) + copied
