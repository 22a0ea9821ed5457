"""What happens to a batch, step by step: its trace.

A batch carries its trace from the read to the watermark. A step is one tuple with times of
CLOCK_MONOTONIC. Spans are made of a finished trace in a thread of ``ingest.trace_export``, which
alone knows OpenTelemetry; without ``trace.endpoint`` nothing is noted and it is never imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import Counter

from ingest.errors import SettingsError
from ingest.ranges import SequenceRange
from ingest.settings import TraceSettings

MOST_STEPS = 1_000
"""Of the runs that a commit is made of, and again of the commit itself; others are counted."""

OK = "ok"
Facts = Mapping[str, str | int]


class Step(NamedTuple):
    """One step; ``start`` and ``end`` are CLOCK_MONOTONIC seconds.

    ``facts`` with a range of their own are those of the run of messages that a batch was cut from.
    """

    name: str
    start: float
    end: float
    facts: Facts

    @property
    def outcome(self) -> str:
        """``ok``, or the name of the error that ended the step."""
        return str(self.facts.get("outcome", OK))


@dataclass(frozen=True, slots=True)
class Finished:
    """A trace that gets no more steps; ``clock_ns`` plus CLOCK_MONOTONIC is Unix time."""

    trace_id: int
    span_id: int
    steps: tuple[Step, ...]
    facts: Facts
    clock_ns: int


class Trace:
    """The steps of one batch so far. ``tell`` takes the finished trace; None: not sampled."""

    def __init__(self, steps: Sequence[Step], tell: Callable[[Finished], None] | None) -> None:
        self._trace_id = random.getrandbits(128) or 1
        self._span_id = random.getrandbits(64) or 1
        self._steps = list(steps)
        self._left_out = 0
        self._tell = tell

    @property
    def ids(self) -> dict[str, str]:
        """What log records of the batch carry, so that they lead to the trace."""
        if self._tell is None:
            return {}
        return {"trace_id": f"{self._trace_id:032x}", "span_id": f"{self._span_id:016x}"}

    def step(self, name: str, start: float, **facts: str | int) -> None:
        """Notes a step that ends now."""
        if len(self._steps) >= 2 * MOST_STEPS:
            self._left_out += 1
            return
        self._steps.append(Step(name, start, time.monotonic(), facts))

    def timed(self, name: str) -> AbstractContextManager[None]:
        """Notes what is done inside as a step, with the error that ends it if one does."""
        return self._timed(name)

    def adopt(self, other: Trace) -> None:
        """Adds the steps of a batch that is stored together with this one.

        Batches that were cut from one run share its first steps: what began before the last step
        here was over is here already.
        """
        if other is self:
            return
        since = self._steps[-1].end if self._steps else 0.0
        later = [step for step in other._steps if step.start >= since]
        room = max(MOST_STEPS - len(self._steps), 0)
        self._steps += later[:room]
        self._left_out += len(later[room:])

    def finish(self, covered: SequenceRange, epoch: str, **facts: str | int) -> None:
        """Ends the trace once; ``facts`` are of the batch as it was stored."""
        tell, self._tell = self._tell, None
        if tell is None:
            return
        whole: dict[str, str | int] = {"epoch": epoch, **range_facts(covered), **facts}
        if self._left_out:
            whole["steps_left_out"] = self._left_out
        clock_ns = time.time_ns() - time.monotonic_ns()
        tell(Finished(self._trace_id, self._span_id, tuple(self._steps), whole, clock_ns))

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        except BaseException as error:
            self.step(name, start, outcome=type(error).__name__)
            raise
        self.step(name, start)


class _NoTrace(Trace):
    """Notes nothing."""

    def step(self, name: str, start: float, **facts: str | int) -> None:
        """Nothing."""

    def timed(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Nothing."""
        return contextlib.nullcontext()

    def adopt(self, other: Trace) -> None:
        """Nothing."""


NO_TRACE: Trace = _NoTrace((), None)
BeginTrace = Callable[[Sequence[Step]], Trace]
"""Begins the trace of a batch with the steps that its run of messages went through."""


def no_trace(steps: Sequence[Step]) -> Trace:  # noqa: ARG001
    """The trace of every batch when nobody collects traces."""
    return NO_TRACE


def range_facts(covered: SequenceRange) -> dict[str, str | int]:
    """First and last sequence."""
    return {"first_seq": covered.first, "last_seq": covered.last}


@contextlib.asynccontextmanager
async def traces(
    settings: TraceSettings, lane: str, path: str, writer: str, dropped: Counter
) -> AsyncIterator[BeginTrace]:
    """How traces are begun, until the process ends; ``dropped`` counts spans nobody took.

    At the end the collector is waited for, at most ``trace.timeout_s``. Raises SettingsError when
    an endpoint is set and OpenTelemetry is not installed.
    """
    if not settings.endpoint:
        yield no_trace
        return
    try:
        from ingest.trace_export import TraceExport
    except ImportError as error:
        raise SettingsError(
            f"trace.endpoint (IOT_TRACE__ENDPOINT) is set, but {error.name} is not installed;"
            " install the extra: pip install 'iot-lakehouse[trace]', or set no endpoint"
        ) from error
    export = TraceExport(settings, lane, path, writer, dropped)
    try:
        yield export.begin
    finally:
        await asyncio.to_thread(export.close)
