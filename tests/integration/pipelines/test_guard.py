"""The guard beside a real hot path: it sees it live, die, idle and come back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from pipelines.budget import Go, State, decide
from pipelines.cancel import INTERRUPTED, Cancel
from pipelines.errors import BudgetBroken, BudgetNotMet
from pipelines.guard import Guard, open_guard
from pipelines.hot_samples import HotSampler
from pipelines.settings import BudgetSettings
from tests.support.lane import TestLane, Writer
from tests.support.waiting import until

QUICK = BudgetSettings(
    sample_every_s=0.1,
    learn_s=1.0,
    quiet_s=0.5,
    rest_s=0.2,
    stale_after_s=3.0,
    window_s=5.0,
    p99_least_slack_s=5.0,
    hot_lag_max_s=30.0,
    cpu_busy_max=2.0,
)


@pytest.fixture
def hot_lane(lane: TestLane) -> TestLane:
    """A lane with stream and tables."""
    lane.init()
    return lane


def start_hot(lane: TestLane) -> tuple[Writer, BudgetSettings]:
    """A hot writer at work, and the budget that looks at it."""
    writer = lane.start("hot")
    said = until(lambda: writer.said("writing") and writer.said("listening"), "a hot writer")
    return writer, budget_of(said[0]["address"])


def strict(budget: BudgetSettings) -> BudgetSettings:
    """The same, broken after two seconds of lag."""
    return budget.model_copy(update={"hot_lag_max_s": 2.0})


def budget_of(address: str) -> BudgetSettings:
    """The budget over a writer's address."""
    return QUICK.model_copy(update={"hot_metrics_urls": f"http://{address}/metrics"})


def sampler(lane: TestLane, budget: BudgetSettings) -> HotSampler:
    """A sampler of the lane."""
    return HotSampler(lane.settings, budget, [lane.stream])


def guard(lane: TestLane, budget: BudgetSettings) -> Guard:
    """A guard of the lane."""
    return open_guard(lane.settings, budget, [lane.stream])


def test_every_stored_reading_is_in_the_samples_once(hot_lane: TestLane) -> None:
    """Ages counted over the looks are as many as readings were stored; lag ends at 0."""
    _, budget = start_hot(hot_lane)
    looking = sampler(hot_lane, budget)
    first = until(lambda: one if (one := looking.sample()).hot else None, "a first look")
    assert first.hot
    assert first.hot.ages is None
    hot_lane.publish(hot_lane.readings(3_000))

    seen = 0.0

    def all_seen() -> bool:
        nonlocal seen
        sample = looking.sample()
        assert sample.hot, sample.problem
        seen += sample.hot.ages.total if sample.hot.ages else 0
        return seen >= 3_000 and sample.hot.lag_messages == 0

    until(all_seen, "every reading in a sample")
    assert seen == 3_000
    again = looking.sample()
    assert again.hot
    assert again.hot.ages
    assert again.hot.ages.total == 0


def test_work_runs_beside_a_healthy_hot_path_and_its_cost_is_known(hot_lane: TestLane) -> None:
    """The result comes back with the hot path's figures before, during and after."""
    _, budget = start_hot(hot_lane)
    hot_lane.publish(hot_lane.readings(500))

    def unit(cancel: Cancel) -> int:
        hot_lane.publish(hot_lane.readings(2_000))
        hot_lane.wait_hot(2_500)
        cancel.check()
        return 42

    done = guard(hot_lane, budget).run("a unit", unit, give_up_after_s=30)

    assert done.result == 42
    assert done.cost.broken is None
    assert done.cost.during.p99_s or done.cost.after.p99_s
    assert done.cost.numbers()["seconds"] == done.cost.seconds


@pytest.mark.chaos
def test_a_dead_hot_path_makes_work_wait_until_it_is_back(hot_lane: TestLane) -> None:
    """Its kept position against the stream's end tells it; then the lag is named in seconds."""
    writer, budget = start_hot(hot_lane)
    hot_lane.publish(hot_lane.readings(10))
    hot_lane.wait_hot(10)
    writer.kill()
    hot_lane.publish(hot_lane.readings(500))
    budget = strict(budget)
    looking = sampler(hot_lane, budget)

    def is_late() -> bool:
        hot = looking.sample().hot
        return hot is not None and hot.lag_s > budget.hot_lag_max_s

    until(is_late, "lag over the budget")

    with pytest.raises(BudgetNotMet, match=r"hot lag .* \(500 messages\) of 2 s allowed"):
        guard(hot_lane, budget).admit("a unit", give_up_after_s=2)

    _, budget = start_hot(hot_lane)
    assert guard(hot_lane, budget).admit("a unit", give_up_after_s=30).waited_s >= 0


def test_an_idle_hot_path_lets_work_go_even_when_its_process_is_gone(hot_lane: TestLane) -> None:
    """Nothing waits to be stored, so nothing is delayed."""
    writer, budget = start_hot(hot_lane)
    hot_lane.publish(hot_lane.readings(10))
    hot_lane.wait_hot(10)
    assert writer.drain() == 0

    guard(hot_lane, budget).admit("a unit", give_up_after_s=20)


def test_a_lane_without_hot_path_has_none_to_protect(hot_lane: TestLane) -> None:
    """Messages wait, but nobody ever wrote the lane's hot table."""
    hot_lane.publish(hot_lane.readings(100))

    guard(hot_lane, QUICK).admit("a unit", give_up_after_s=20)


@pytest.mark.chaos
def test_a_hot_path_that_hangs_stops_running_work(hot_lane: TestLane) -> None:
    """The unit is asked to end with the numbers, and the error carries them."""
    writer, budget = start_hot(hot_lane)
    asked: list[str] = []

    def unit(cancel: Cancel) -> None:
        writer.process.send_signal(signal.SIGSTOP)
        hot_lane.publish(hot_lane.readings(500))
        ended = threading.Event()
        with cancel.on_cancel(lambda reason: (asked.append(reason), ended.set())):  # type: ignore[func-returns-value]
            assert ended.wait(60)
            cancel.check()

    with pytest.raises(BudgetBroken) as caught:
        guard(hot_lane, strict(budget)).run("a unit", unit, give_up_after_s=30)
    writer.process.send_signal(signal.SIGCONT)

    assert asked
    assert caught.value.reason == asked[0]
    assert "hot" in caught.value.reason
    assert caught.value.after_s > 0


def test_without_nats_nothing_is_known_and_nothing_starts(own_lane: TestLane) -> None:
    """The reason names what did not answer."""
    own_lane.init()
    own_lane.stack.kill("nats")

    with pytest.raises(BudgetNotMet, match="NATS does not answer"):
        guard(own_lane, QUICK).admit("a unit", give_up_after_s=1)
    own_lane.stack.start_service("nats")
    guard(own_lane, QUICK).admit("a unit", give_up_after_s=30)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Ctrl-C as on a terminal; what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_cancels_the_unit_and_goes_on(hot_lane: TestLane) -> None:
    """Ctrl-C inside a unit first ends what the unit had under way."""
    asked: list[str] = []

    def unit(cancel: Cancel) -> None:
        with cancel.on_cancel(asked.append):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        guard(hot_lane, QUICK).run("a unit", unit, give_up_after_s=20)
    assert asked == [INTERRUPTED]


def test_an_own_error_of_the_unit_stays_what_it_is(hot_lane: TestLane) -> None:
    """Only a unit that was asked to end has broken the budget."""

    def unit(_: Cancel) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guard(hot_lane, QUICK).run("a unit", unit, give_up_after_s=20)


def test_samples_of_a_writer_that_has_measured_nothing_come_from_nats(hot_lane: TestLane) -> None:
    """A page without the lane is no reason to guess."""
    other = budget_of("127.0.0.1:9")
    sample = sampler(hot_lane, other).sample()

    assert sample.hot
    assert sample.problem
    decision = decide([sample], other, State(running=True), sample.at_s)
    assert isinstance(decision, Go)


def test_the_lake_writer_is_sampled_while_it_answers(hot_lane: TestLane) -> None:
    """Its lag counts; once it is gone there is none to disturb."""
    lake = hot_lane.start("lake")
    said = until(lambda: lake.said("writing") and lake.said("listening"), "a lake writer")
    url = f"http://{said[0]['address']}/metrics"
    looking = sampler(hot_lane, QUICK.model_copy(update={"lake_metrics_urls": url}))

    measured = until(lambda: looking.sample().lake, "a sample of the lake")
    assert measured.lag_messages == 0
    assert lake.drain() == 0
    assert looking.sample().lake is None
