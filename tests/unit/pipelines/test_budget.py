"""The budget's decisions hold for every history, not only for likely ones."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ages import Ages
from pipelines.budget import (
    Go,
    PathSample,
    Sample,
    State,
    Stop,
    Wait,
    allowed_p99,
    decide,
    learn,
    p99,
)
from pipelines.settings import BudgetSettings

LIMITS = BudgetSettings()
EVERY_S = LIMITS.sample_every_s
BASELINE_S = 0.6
IDLE, BUSY = State(running=False, baseline_s=BASELINE_S), State(running=True, baseline_s=BASELINE_S)
BOUNDS = (*(step / 20 for step in range(1, 200)), math.inf)


def aged(seconds: float, count: float = 10_000) -> Ages:
    """Readings all about ``seconds`` old."""
    index = next(i for i, bound in enumerate(BOUNDS) if bound >= seconds)
    return Ages(BOUNDS, tuple(count if i == index else 0.0 for i in range(len(BOUNDS))))


def hot(lag_s: float = 0.5, p99_s: float | None = 0.5, **changes: float) -> PathSample:
    """A sample of the hot path."""
    ages = aged(p99_s) if p99_s is not None else None
    values = {"stored_per_s": 1e4, "arrived_per_s": 1e4, **changes}
    return PathSample(lag_messages=100, lag_s=lag_s, ages=ages, **values)


def history(*samples: PathSample | None, until_s: float = 1_000.0) -> list[Sample]:
    """The samples in order, the last one taken at ``until_s``."""
    start = until_s - EVERY_S * (len(samples) - 1)
    return [
        Sample(at_s=start + EVERY_S * i, hot=one, problem="" if one else "no answer")
        for i, one in enumerate(samples)
    ]


def calm(seconds: float = 20.0) -> list[PathSample | None]:
    """Samples of a hot path at rest."""
    return [hot()] * int(seconds / EVERY_S)


paths = st.builds(
    hot,
    lag_s=st.floats(0, 60),
    p99_s=st.one_of(st.none(), st.floats(0.01, 9.0)),
    headroom_s=st.one_of(st.just(math.inf), st.floats(0, 1e5)),
    stored_per_s=st.floats(0, 1e6),
)
histories = st.lists(st.one_of(st.none(), paths), min_size=1, max_size=40).map(
    lambda samples: history(*samples)
)


def test_a_calm_hot_path_lets_work_start() -> None:
    """After the quiet stretch the answer is go."""
    assert isinstance(decide(history(*calm()), LIMITS, IDLE, 1_000.0), Go)


def test_work_does_not_start_before_it_was_calm_long_enough() -> None:
    """A few good looks are not yet a quiet stretch."""
    few = calm(LIMITS.quiet_s)[:-2]

    assert isinstance(decide(history(*few), LIMITS, IDLE, 1_000.0), Wait)
    assert isinstance(decide(history(hot(lag_s=9), *few), LIMITS, IDLE, 1_000.0), Wait)


@settings(deadline=None)
@given(histories, st.floats(0.01, 1e6))
def test_what_is_not_known_is_never_go(samples: list[Sample], late_s: float) -> None:
    """Without a fresh look waiting work waits and running work stops."""
    now = 1_000.0 + LIMITS.stale_after_s + late_s

    assert isinstance(decide(samples, LIMITS, IDLE, now), Wait)
    assert isinstance(decide(samples, LIMITS, BUSY, now), Stop)


@pytest.mark.parametrize("state", [IDLE, BUSY])
def test_no_sample_at_all_is_not_go(state: State) -> None:
    """Nothing known, or only failures, whatever their age."""
    for samples in ([], history(None), history(*[None] * 30)):
        assert not isinstance(decide(samples, LIMITS, state, 1_000.0), Go)


def test_one_failed_look_does_not_stop_work() -> None:
    """The look before is still fresh."""
    samples = history(*calm(), None)

    assert isinstance(decide(samples, LIMITS, BUSY, 1_000.0), Go)


@settings(deadline=None)
@given(histories, st.floats(0, 100), st.booleans())
def test_more_lag_never_turns_no_into_go(
    samples: list[Sample], more_s: float, running: bool
) -> None:
    """Raising the lag of every sample only makes the decision stricter."""
    worse = [
        replace(one, hot=replace(one.hot, lag_s=one.hot.lag_s + more_s)) if one.hot else one
        for one in samples
    ]
    state = BUSY if running else IDLE

    if isinstance(decide(worse, LIMITS, state, 1_000.0), Go):
        assert isinstance(decide(samples, LIMITS, state, 1_000.0), Go)


@settings(deadline=None)
@given(histories)
def test_a_decision_fits_what_is_under_way(samples: list[Sample]) -> None:
    """Waiting work is told go or wait, running work go or stop; each time with a reason."""
    waiting = decide(samples, LIMITS, IDLE, 1_000.0)
    running = decide(samples, LIMITS, BUSY, 1_000.0)

    assert isinstance(waiting, Go | Wait)
    assert isinstance(running, Go | Stop)
    assert waiting.reason
    assert running.reason


@settings(deadline=None)
@given(
    st.lists(st.floats(LIMITS.go_below, 0.999), min_size=30, max_size=60),
    st.booleans(),
)
def test_between_the_bounds_nothing_changes(shares: list[float], running: bool) -> None:
    """Running work goes on and waiting work waits, at every moment: no flapping."""
    lags = [share * LIMITS.hot_lag_max_s for share in shares]
    for upto in range(1, len(lags) + 1, 3):
        samples = history(*(hot(lag_s=lag) for lag in lags[:upto]))
        decision = decide(samples, LIMITS, BUSY if running else IDLE, 1_000.0)
        assert isinstance(decision, Go if running else Wait)


def test_stop_needs_several_looks_over_the_budget() -> None:
    """One fewer than the setting is borne, even when they are not consecutive."""
    over, fine = hot(p99_s=0.8), hot()
    bad = LIMITS.stop_after
    mixed = [one for pair in zip([over] * bad, [fine] * bad, strict=True) for one in pair]

    assert isinstance(decide(history(*calm(), *mixed[2:]), LIMITS, BUSY, 1_000.0), Go)
    stop = decide(history(*calm(), *mixed), LIMITS, BUSY, 1_000.0)
    assert isinstance(stop, Stop)
    assert "hot p99 0.800 s" in stop.reason
    assert "0.660 s allowed (baseline 0.600 s)" in stop.reason
    assert f"{bad} of the last {2 * bad} samples" in stop.reason


def test_an_awful_look_stops_at_once() -> None:
    """One look many times over the budget is enough."""
    samples = history(*calm(), hot(lag_s=LIMITS.awful * LIMITS.hot_lag_max_s))

    assert isinstance(decide(samples, LIMITS, BUSY, 1_000.0), Stop)


def test_after_a_bad_stretch_the_long_window_must_be_good_again() -> None:
    """Calm looks are not enough while a hundredth of the window's readings were slow."""
    bad, good = [hot(p99_s=2.0)] * 8, calm(LIMITS.quiet_s * 2)

    wait = decide(history(*calm(), *bad, *good), LIMITS, IDLE, 1_000.0)
    assert isinstance(wait, Wait)
    assert "of the last 60 s" in wait.reason
    enough = calm(LIMITS.window_s + 1)
    assert isinstance(decide(history(*bad, *enough), LIMITS, IDLE, 1_000.0), Go)


def test_work_ends_when_more_arrives_than_is_stored() -> None:
    """A hot path that falls behind is seen before its lag is long."""
    samples = history(*calm(), *[hot(stored_per_s=7e3)] * 30)

    stop = decide(samples, LIMITS, BUSY, 1_000.0)
    assert isinstance(stop, Stop)
    assert "7,000 messages/s of 10,000 that arrive" in stop.reason


def test_a_full_machine_keeps_work_from_starting_but_does_not_stop_it() -> None:
    """CPU alone harms nobody once the work runs below everybody's priority."""
    full = [replace(one, busy=0.99) for one in history(*calm())]

    assert isinstance(decide(full, LIMITS, IDLE, 1_000.0), Wait)
    assert isinstance(decide(full, LIMITS, BUSY, 1_000.0), Go)


def test_a_lake_that_falls_behind_stops_work_too() -> None:
    """Maintenance commits compete with the lake's own."""
    late = PathSample(lag_messages=10, lag_s=2 * LIMITS.lake_lag_max_s)
    samples = [replace(one, lake=late) for one in history(*calm())]

    assert isinstance(decide(samples, LIMITS, IDLE, 1_000.0), Wait)
    stop = decide(samples, LIMITS, BUSY, 1_000.0)
    assert isinstance(stop, Stop)
    assert "lake lag" in stop.reason


def test_unread_data_close_to_retention_stops_work() -> None:
    """The less time is left the more of the budget is used; without unread data none is."""
    close = hot(headroom_s=LIMITS.headroom_min_s / 2)
    nothing_unread = replace(close, lag_messages=0)

    assert isinstance(decide(history(*calm(), *[close] * 8), LIMITS, BUSY, 1_000.0), Stop)
    assert isinstance(decide(history(*[nothing_unread] * 40), LIMITS, IDLE, 1_000.0), Go)


def test_latency_at_rest_is_learned_only_from_rest() -> None:
    """The median over stretches in which no work was under way."""
    rest = p99(history(hot()))
    calm_then_bad = history(*calm(60.0), *[hot(p99_s=5.0)] * 40)

    assert learn(calm_then_bad, 10.0, 180.0) == rest
    assert learn(calm_then_bad[-50:], 10.0, 180.0) != rest
    assert learn(history(*calm(9.0)), 10.0, 180.0) is None
    working = [replace(one, working=True) for one in history(*calm(60.0))]
    assert learn(working, 10.0, 180.0) is None
    mixed = [*working, *[replace(one, at_s=one.at_s + 60) for one in history(*calm(12.0))]]
    assert learn(mixed, 10.0, 180.0) == rest


@settings(deadline=None)
@given(st.one_of(st.none(), st.floats(0.001, 100.0)))
def test_the_allowed_latency_is_never_above_the_absolute_one(baseline_s: float | None) -> None:
    """A high baseline gives no licence."""
    assert allowed_p99(LIMITS, baseline_s) <= LIMITS.p99_max_s


def test_a_hot_path_in_trouble_by_itself_gets_no_work() -> None:
    """Even when its latency at rest was learned that high."""
    slow = [hot(p99_s=9.9)] * 40
    limits = LIMITS.model_copy(update={"p99_max_s": 5.0})

    decision = decide(history(*slow), limits, State(running=False, baseline_s=9.9), 1_000.0)
    assert isinstance(decision, Wait)


def test_a_look_that_the_writer_took_long_ago_is_stale() -> None:
    """A page that answers while its writer no longer measures tells nothing."""
    frozen = [replace(one, age_s=LIMITS.stale_after_s + 1) for one in history(*calm())]

    assert isinstance(decide(frozen, LIMITS, IDLE, 1_000.0), Wait)
    assert isinstance(decide(frozen, LIMITS, BUSY, 1_000.0), Stop)
