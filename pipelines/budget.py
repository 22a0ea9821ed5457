"""May maintenance work start, and may it go on? Decided from samples of the hot path.

Pure: no clock, no I/O. Each measure of a sample (latency, lag, headroom, ...) is expressed as the
share of its budget that is used: 0 at rest, 1 at the limit. Running work stops when enough of the
newest samples use more than all of it, or one sample uses many times it. Waiting work starts only
after a quiet stretch in which every sample used clearly less: between the two bounds nothing
changes, so the decision does not flap.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.ages import Ages, merged
from pipelines.settings import BudgetSettings

LEAST_READINGS = 100
"""With fewer readings a 99th percentile is the age of one or two of them and says nothing."""

BEHIND_S = 10.0
"""Arrived and stored messages are compared over this time: inserts come in bursts."""


@dataclass(frozen=True, kw_only=True)
class PathSample:
    """One path at one moment; rates and ages cover the time since the sample before.

    Over several lanes: the worst lag and headroom, the sums of rates and ages.
    """

    lag_messages: int
    lag_s: float
    stored_per_s: float | None = None
    arrived_per_s: float | None = None
    ages: Ages | None = None
    insert_s: float | None = None
    headroom_s: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The paths at ``at_s`` (CLOCK_MONOTONIC). Without ``hot``, ``problem`` says why it is unknown.

    ``age_s`` is how old the writers' own look at their lag was when the sample was taken.
    ``lake`` is None when no lake writer answers: then there is none to disturb. ``busy`` is the
    share of the machine's CPU time in use at normal priority. ``working``: maintenance was under
    way.
    """

    at_s: float
    hot: PathSample | None
    age_s: float = 0.0
    lake: PathSample | None = None
    busy: float | None = None
    problem: str = ""
    working: bool = False


@dataclass(frozen=True)
class State:
    """What the decision needs besides samples: is work under way, and p99 at rest (seconds)."""

    running: bool
    baseline_s: float | None = None


@dataclass(frozen=True)
class Go:
    """The work may start or go on."""

    reason: str


@dataclass(frozen=True)
class Wait:
    """The work must not start now."""

    reason: str


@dataclass(frozen=True)
class Stop:
    """The running work must end."""

    reason: str


Decision = Go | Wait | Stop


@dataclass(frozen=True)
class Use:
    """How much of one measure's budget is used, and the sentence that says so."""

    share: float
    reason: str


def decide(
    history: Sequence[Sample], limits: BudgetSettings, state: State, now_s: float
) -> Decision:
    """Go, Wait or Stop at ``now_s`` (CLOCK_MONOTONIC), with the reason in numbers.

    ``history`` is ascending in time. Work under way is told Go or Stop, work that waits Go or Wait.
    """
    known = [sample for sample in history if sample.hot is not None]
    age_s = now_s - known[-1].at_s + known[-1].age_s if known else math.inf
    if age_s > limits.stale_after_s:
        reason = _unknown(history, age_s, limits)
        return Stop(reason) if state.running else Wait(reason)
    return (_go_on if state.running else _start)(known, limits, state, now_s)


def learn(history: Sequence[Sample], stretch_s: float, span_s: float) -> float | None:
    """p99 (s) at rest: the median over the stretches of ``stretch_s`` within the newest ``span_s``.

    Only stretches count during which no work was under way. So one bad moment does not raise the
    measure, and a new normal is taken over after half of ``span_s``. None without a stretch that
    holds enough readings.
    """
    if not history:
        return None
    newest = history[-1].at_s
    stretches: list[float] = []
    resting: list[Sample] = []
    for sample in history:
        if sample.at_s <= newest - span_s or sample.hot is None:
            continue
        resting = [] if sample.working else [*resting, sample]
        if resting and sample.at_s - resting[0].at_s >= stretch_s:
            found = p99(resting)
            stretches += [found] if found is not None else []
            resting = []
    return statistics.median(stretches) if stretches else None


def p99(samples: Sequence[Sample]) -> float | None:
    """99th percentile (s) of the readings' ages over the samples; None with too few readings."""
    ages = merged(one.hot.ages for one in samples if one.hot and one.hot.ages)
    return ages.quantile(0.99) if ages and ages.total >= LEAST_READINGS else None


def allowed_p99(limits: BudgetSettings, baseline_s: float | None) -> float:
    """Largest p99 (s) that work may cause, given p99 at rest."""
    if baseline_s is None:
        return limits.p99_max_s
    slack = max(baseline_s * limits.p99_share, limits.p99_least_slack_s)
    return min(baseline_s + slack, limits.p99_max_s)


def uses(sample: Sample, limits: BudgetSettings, baseline_s: float | None) -> list[Use]:
    """Use of every measure that the sample holds."""
    hot, lake = sample.hot, sample.lake
    found: list[Use] = []
    if hot is not None:
        found += [
            _lag("hot", hot, limits.hot_lag_max_s),
            _headroom("hot", hot, limits.headroom_min_s),
        ]
        latest = p99([sample])
        if latest is not None:
            found.append(_latency("hot p99", latest, limits, baseline_s))
    if lake is not None:
        found += [
            _lag("lake", lake, limits.lake_lag_max_s),
            _headroom("lake", lake, limits.headroom_min_s),
        ]
    return found


def _start(
    known: Sequence[Sample], limits: BudgetSettings, state: State, now_s: float
) -> Go | Wait:
    """Whether waiting work may start."""
    quiet = _last(known, limits.quiet_s, now_s) or [known[-1]]
    worst = max((_worst(one, limits, state.baseline_s) for one in quiet), key=_share)
    if worst.share >= limits.go_below:
        return Wait(worst.reason)
    if known[-1].at_s - known[0].at_s < limits.quiet_s:
        return Wait(f"watched the hot path for less than {limits.quiet_s:g} s")
    for use in (
        _long(known, limits, state, now_s),
        _falling_behind(_last(known, BEHIND_S, now_s), limits),
        _cpu(quiet, limits),
    ):
        if use is not None and use.share >= 1:
            return Wait(use.reason)
    return Go(worst.reason)


def _go_on(
    known: Sequence[Sample], limits: BudgetSettings, state: State, now_s: float
) -> Go | Stop:
    """Whether running work may go on."""
    newest = [_worst(one, limits, state.baseline_s) for one in known[-2 * limits.stop_after :]]
    if newest[-1].share >= limits.awful:
        return Stop(newest[-1].reason)
    over = [use for use in newest if use.share >= 1]
    if len(over) >= limits.stop_after:
        return Stop(f"{over[-1].reason}; {len(over)} of the last {len(newest)} samples")
    behind = _falling_behind(_last(known, BEHIND_S, now_s), limits)
    if behind is not None and behind.share >= 1:
        return Stop(behind.reason)
    return Go(newest[-1].reason)


def _last(known: Sequence[Sample], span_s: float, now_s: float) -> list[Sample]:
    return [one for one in known if one.at_s > now_s - span_s]


def _worst(sample: Sample, limits: BudgetSettings, baseline_s: float | None) -> Use:
    return max(uses(sample, limits, baseline_s), key=_share)


def _share(use: Use) -> float:
    return use.share


def _lag(path: str, sample: PathSample, limit_s: float) -> Use:
    reason = (
        f"{path} lag {sample.lag_s:.2f} s ({sample.lag_messages:,} messages)"
        f" of {limit_s:g} s allowed"
    )
    return Use(sample.lag_s / limit_s, reason)


def _headroom(path: str, sample: PathSample, least_s: float) -> Use:
    """Use of the time that retention leaves to unread messages; none while nothing waits."""
    if sample.lag_messages <= 0 or math.isinf(sample.headroom_s):
        return Use(0.0, f"{path} retention is far away")
    reason = (
        f"{path} retention drops unread data in {sample.headroom_s:.0f} s, {least_s:g} s is least"
    )
    return Use(least_s / max(sample.headroom_s, least_s / 1e6), reason)


def _latency(name: str, value_s: float, limits: BudgetSettings, baseline_s: float | None) -> Use:
    rest = baseline_s or 0.0
    allowed = allowed_p99(limits, baseline_s)
    against = f"baseline {rest:.3f} s" if baseline_s is not None else "no baseline"
    reason = f"{name} {value_s:.3f} s, {allowed:.3f} s allowed ({against})"
    if allowed <= rest:
        return Use(value_s / allowed, reason)
    return Use(max((value_s - rest) / (allowed - rest), 0.0), reason)


def _long(
    known: Sequence[Sample], limits: BudgetSettings, state: State, now_s: float
) -> Use | None:
    """Use of the latency budget over its whole window: bad stretches are paid off by good ones."""
    value = p99(_last(known, limits.window_s, now_s))
    if value is None:
        return None
    name = f"hot p99 of the last {limits.window_s:g} s"
    return _latency(name, value, limits, state.baseline_s)


def _falling_behind(samples: Sequence[Sample], limits: BudgetSettings) -> Use | None:
    """Use of the share by which the hot path may store less than arrives, over the samples."""
    rates = [
        (one.hot.arrived_per_s, one.hot.stored_per_s)
        for one in samples
        if one.hot and one.hot.arrived_per_s is not None and one.hot.stored_per_s is not None
    ]
    arrived = sum(rate for rate, _ in rates)
    if len(rates) < 2 * limits.stop_after or arrived <= 0:
        return None
    stored = sum(rate for _, rate in rates)
    reason = (
        f"hot path stores {stored / len(rates):,.0f} messages/s of"
        f" {arrived / len(rates):,.0f} that arrive"
    )
    return Use((arrived - stored) / arrived / limits.behind_share, reason)


def _cpu(samples: Sequence[Sample], limits: BudgetSettings) -> Use | None:
    """Use of the machine before the work begins; never a reason to stop work that hurts nobody."""
    known = [one.busy for one in samples if one.busy is not None]
    if not known:
        return None
    busy = sum(known) / len(known)
    reason = f"CPU {busy:.0%} busy, {limits.cpu_busy_max:.0%} allowed"
    return Use(busy / limits.cpu_busy_max, reason)


def _unknown(history: Sequence[Sample], age_s: float, limits: BudgetSettings) -> str:
    why = f" ({history[-1].problem})" if history and history[-1].problem else ""
    if math.isinf(age_s):
        return f"the hot path's state is not known{why}"
    return f"the hot path's state is {age_s:.1f} s old, {limits.stale_after_s:g} s is allowed{why}"
