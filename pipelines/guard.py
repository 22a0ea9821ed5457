"""The budget guard: units of maintenance start, go on and stop as the hot path allows.

The unit runs in the caller's thread, so an interrupt reaches it; a thread beside it samples the
hot path and asks the unit to end when the budget breaks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import structlog

from ingest.errors import Transient
from ingest.settings import Settings
from pipelines.budget import Go, Sample, State, Stop, decide, learn
from pipelines.cancel import Cancel
from pipelines.cost import Cost, Guarded, figures, numbers_of
from pipelines.errors import BudgetBroken, BudgetNotMet, PipelineError
from pipelines.hot_samples import HotSampler
from pipelines.settings import BudgetSettings

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

SAY_EVERY_S = 30.0


class Sampler(Protocol):
    """Takes samples of the hot path; called from one thread at a time."""

    def sample(self) -> Sample:
        """One sample, within a few of ``budget.sample_timeout_s``; never raises for an outage."""


@dataclass(frozen=True)
class Admission:
    """Leave to start: why, and after what wait (seconds)."""

    reason: str
    waited_s: float


class Guard:
    """Guards units of work, one at a time each way: calls from several threads take turns."""

    def __init__(self, limits: BudgetSettings, sampler: Sampler) -> None:
        self._limits = limits
        self._sampler = sampler
        self._turn = threading.RLock()
        span_s = max(limits.relearn_s, limits.window_s, limits.learn_s) + limits.stale_after_s
        self._history: deque[Sample] = deque(maxlen=int(span_s / limits.sample_every_s) + 1)
        self._baseline_s: float | None = None
        self._learned = False

    @property
    def baseline_s(self) -> float | None:
        """Hot p99 at rest in seconds, None while it is not known."""
        return self._baseline_s

    @property
    def newest(self) -> Sample | None:
        """The newest sample."""
        return self._history[-1] if self._history else None

    def admit(self, work: str, *, give_up_after_s: float | None = None) -> Admission:
        """Waits until the budget leaves room for ``work``.

        Raises BudgetNotMet when that takes longer than ``give_up_after_s`` (None: no bound).
        """
        with self._turn:
            started = time.monotonic()
            said = started - SAY_EVERY_S
            while True:
                self._look(working=False)
                self._learn()
                now = time.monotonic()
                decision = decide(self._history, self._limits, self._state(running=False), now)
                reason = decision.reason
                if isinstance(decision, Go):
                    if self._learned or self._is_idle():
                        return Admission(reason, now - started)
                    reason = "the hot path's latency at rest is not yet learned"
                if give_up_after_s is not None and now - started >= give_up_after_s:
                    raise BudgetNotMet(work, reason, now - started, self._numbers())
                if now - said >= SAY_EVERY_S:
                    log.info("work_waits", work=work, reason=reason)
                    said = now
                time.sleep(self._limits.sample_every_s)

    def run(
        self,
        work: str,
        unit: Callable[[Cancel], Result],
        *,
        give_up_after_s: float | None = None,
    ) -> Guarded[Result]:
        """Admits, runs ``unit`` in this thread, and asks it to end when the budget breaks.

        Raises BudgetNotMet as ``admit``; BudgetBroken when the unit ended early because it was
        asked to, chained to what the unit raised; else whatever the unit raises. A unit that comes
        to its end all the same has done its work: its result is returned and ``cost.broken`` says
        why it should have stopped. An interrupt of this thread cancels the unit as well.
        """
        with self._turn:
            admission = self.admit(work, give_up_after_s=give_up_after_s)
            before = self._since(time.monotonic() - self._limits.window_s)
            cancel = Cancel()
            started = time.monotonic()
            try:
                with self._watched(work, cancel):
                    result = unit(cancel)
            except Exception as error:
                if cancel.reason is None:
                    raise
                seconds = time.monotonic() - started
                log.info("work_stopped", work=work, reason=cancel.reason, seconds=round(seconds, 1))
                raise BudgetBroken(work, cancel.reason, seconds, self._numbers()) from error
            ended = time.monotonic()
            self._look(working=True)
            during = self._since(started)
            self._rest()
            cost = Cost(
                work=work,
                seconds=ended - started,
                waited_s=admission.waited_s,
                before=figures([one for one in before if not one.working]),
                during=figures(during),
                after=figures([one for one in self._since(ended) if not one.working]),
                broken=cancel.reason,
            )
            return Guarded(result, cost)

    @contextmanager
    def _watched(self, work: str, cancel: Cancel) -> Iterator[None]:
        """Samples in a thread while the block runs."""
        over = threading.Event()
        thread = threading.Thread(
            target=self._watch, args=(cancel, over), name=f"budget of {work}", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _watch(self, cancel: Cancel, over: threading.Event) -> None:
        try:
            while not over.wait(self._limits.sample_every_s):
                self._look(working=True)
                state, now = self._state(running=True), time.monotonic()
                decision = decide(self._history, self._limits, state, now)
                if isinstance(decision, Stop) or cancel.reason is not None:
                    self._cancel(cancel, decision.reason)
        finally:
            if not over.is_set():
                # Work that nobody watches must not go on.
                self._cancel(cancel, "the guard itself failed, see its traceback")

    def _cancel(self, cancel: Cancel, reason: str) -> None:
        """Asks the unit to end; what cannot be reached now is asked again at the next look."""
        try:
            cancel.cancel(reason)
        except (PipelineError, OSError) as error:
            level = log.warning if isinstance(error, Transient | OSError) else log.error
            level("cancel_failed", problem=str(error))

    def _look(self, *, working: bool) -> None:
        self._history.append(replace(self._sampler.sample(), working=working))

    def _rest(self) -> None:
        """The pause after a unit, sampled."""
        until = time.monotonic() + self._limits.rest_s
        while time.monotonic() < until:
            time.sleep(self._limits.sample_every_s)
            self._look(working=False)

    def _learn(self) -> None:
        """Keeps p99 at rest up to date; known to be unknown when readings are too few for one."""
        found = learn(self._history, self._limits.learn_s, self._limits.relearn_s)
        self._baseline_s = self._baseline_s if found is None else found
        span_s = self._history[-1].at_s - self._history[0].at_s
        enough = span_s > self._limits.learn_s + self._limits.sample_every_s
        self._learned = self._learned or found is not None or enough

    def _is_idle(self) -> bool:
        """Whether nothing arrives and nothing waits, so that there is no latency to learn."""
        hot = self._history[-1].hot
        return hot is not None and hot.lag_messages == 0 and not hot.arrived_per_s

    def _since(self, moment_s: float) -> list[Sample]:
        return [one for one in self._history if one.at_s >= moment_s]

    def _numbers(self) -> dict[str, float]:
        return numbers_of(self._history, self._baseline_s)

    def _state(self, *, running: bool) -> State:
        return State(running, self._baseline_s)


def open_guard(settings: Settings, budget: BudgetSettings, lanes: Sequence[str]) -> Guard:
    """A guard of the lanes' writers, found by the settings; nothing is opened yet."""
    return Guard(budget, HotSampler(settings, budget, lanes))
