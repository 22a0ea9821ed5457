"""CPU a message as a ratio that hardly depends on the machine and on what else it does.

Two things are measured in turn, in many short rounds: the work, and a fixed loop of what Python,
NumPy and the memory can do. Only the best rounds of each count, since whatever disturbs a round
makes it slower, and rounds of several processes, since where the memory of one happens to lie makes
all of its rounds slower. A slower machine, a lower clock or a busy neighbour in the same
caches slows both, and the ratio stays.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PER_MESSAGES = 10_000
"""The cost is that of so many messages, in loops of the calibration."""
CHUNK = 16_384


@dataclass(frozen=True)
class Measured:
    """CPU seconds of each round: of the work on ``messages`` messages, and of the calibration."""

    messages: int
    work_s: Sequence[float]
    loop_s: Sequence[float]

    @property
    def cost(self) -> float:
        """Loops of the calibration that take as long as 10,000 messages."""
        return best(self.work_s) / self.messages * PER_MESSAGES / best(self.loop_s)

    @property
    def us(self) -> float:
        """CPU microseconds a message in the best rounds, on this machine as it is now."""
        return best(self.work_s) / self.messages * 1e6


def together(processes: Sequence[Measured]) -> Measured:
    """All rounds of several processes, so that the best of either kind count."""
    return Measured(
        processes[0].messages,
        [seconds for one in processes for seconds in one.work_s],
        [seconds for one in processes for seconds in one.loop_s],
    )


def best(seconds: Sequence[float]) -> float:
    """Median of the best tenth: no single lucky round decides."""
    return statistics.median(sorted(seconds)[: max(len(seconds) // 10, 1)])


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
    """A loop of about the mix that a message takes: objects, arrays, copies of memory.

    As the decoder's, its pieces are of a size that stays in the CPU's caches when nobody else is
    there, and its memory is there before it begins.
    """

    def __init__(self) -> None:
        numbers = np.random.default_rng(1).integers(0, 1 << 40, 8 * CHUNK)
        self._chunks = np.split(numbers, 8)
        self._source = np.frombuffer(numbers.tobytes(), np.uint8)
        self._target = np.empty_like(self._source)

    def run(self) -> int:
        """One loop; the result depends on all of it, so nothing can be left out."""
        found = 0
        for chunk in self._chunks:
            found += _objects() + _arrays(chunk)
            np.copyto(self._target, self._source)
            found += int(self._target[-1]) + int(np.count_nonzero(self._target == 10))
        return found


def _objects() -> int:
    texts = [b"%d.%d" % (number, number * 7) for number in range(CHUNK // 8)]
    parts = b"\n".join(texts).split(b"\n")
    known = dict(zip(parts, range(len(parts)), strict=True))
    return sum(map(known.__getitem__, reversed(parts))) + sum(map(len, parts))


def _arrays(chunk: npt.NDArray[np.int64]) -> int:
    ordered = np.sort(chunk)
    steps = np.cumsum(np.diff(ordered)) + np.count_nonzero(chunk & 1)
    places = np.flatnonzero(steps % 7 == 0)
    return int(steps[places].sum() & 0xFFFF)
