"""The guard's own conduct, over a hot path whose lag the test sets."""

from __future__ import annotations

import pickle
import threading
import time

import pytest

from pipelines.budget import PathSample, Sample
from pipelines.cancel import Cancel
from pipelines.errors import BudgetBroken, BudgetNotMet, TrinoUnavailable, WorkCancelled
from pipelines.guard import Guard
from pipelines.settings import BudgetSettings

QUICK = BudgetSettings(
    sample_every_s=0.01,
    learn_s=0.05,
    quiet_s=0.05,
    rest_s=0.05,
    hot_lag_max_s=1.0,
    stale_after_s=60.0,
)
BAD_S = 2.0


class Scripted:
    """A sampler whose lag the test sets."""

    def __init__(self) -> None:
        self.lag_s = 0.0

    def sample(self) -> Sample:
        """A fresh sample."""
        return Sample(at_s=time.monotonic(), hot=PathSample(lag_messages=1, lag_s=self.lag_s))


def test_a_unit_that_ends_early_has_broken_the_budget() -> None:
    """The error carries the work, the reason in numbers, and what the unit raised."""
    hot = Scripted()

    def unit(cancel: Cancel) -> None:
        hot.lag_s = BAD_S
        assert cancel.wait(30)
        cancel.check()

    with pytest.raises(BudgetBroken, match=r"hot lag 2\.00 s") as caught:
        Guard(QUICK, hot).run("a unit", unit)
    assert isinstance(caught.value.__cause__, WorkCancelled)
    assert caught.value.work == "a unit"
    assert caught.value.numbers["hot_lag_s"] == BAD_S


def test_a_unit_that_comes_to_its_end_keeps_its_result() -> None:
    """It was asked to end and had just finished: what it did is done, and the reason is kept."""
    hot = Scripted()

    def unit(cancel: Cancel) -> int:
        hot.lag_s = BAD_S
        assert cancel.wait(30)
        return 7

    done = Guard(QUICK, hot).run("a unit", unit)

    assert done.result == 7
    assert done.cost.broken
    assert "hot lag 2.00 s" in done.cost.broken
    assert done.cost.before.lag_max_s == 0.0
    assert done.cost.after.lag_max_s == BAD_S


def test_a_request_that_did_not_get_through_is_made_again() -> None:
    """Trino was away when its query was to be killed."""
    hot = Scripted()
    tries: list[str] = []
    ended = threading.Event()

    def kill(reason: str) -> None:
        tries.append(reason)
        if len(tries) < 3:
            raise TrinoUnavailable("no answer")
        ended.set()

    def unit(cancel: Cancel) -> None:
        hot.lag_s = BAD_S
        with cancel.on_cancel(kill):
            assert ended.wait(30)
            cancel.check()

    with pytest.raises(BudgetBroken):
        Guard(QUICK, hot).run("a unit", unit)
    assert len(tries) >= 3
    assert len(set(tries)) == 1


def test_what_is_registered_late_is_asked_at_once() -> None:
    """A statement that begins after the request is ended too."""
    cancel = Cancel()
    cancel.cancel("enough")
    asked: list[str] = []

    with cancel.on_cancel(asked.append):
        assert asked == ["enough"]
    cancel.cancel("another reason")
    assert asked == ["enough"]
    assert cancel.reason == "enough"


def test_the_guard_gives_up_with_the_last_reason() -> None:
    """And says how long it waited."""
    hot = Scripted()
    hot.lag_s = BAD_S

    with pytest.raises(BudgetNotMet, match=r"hot lag 2\.00 s") as caught:
        Guard(QUICK, hot).admit("a unit", give_up_after_s=0.1)
    assert caught.value.waited_s >= 0.1


def test_units_of_several_threads_take_turns() -> None:
    """Two at once would each be seen as the other's rest."""
    guard = Guard(QUICK, Scripted())
    running = 0
    overlaps = 0

    def unit(cancel: Cancel) -> None:
        nonlocal running, overlaps
        running += 1
        overlaps += running > 1
        cancel.wait(0.02)
        running -= 1

    threads = [threading.Thread(target=lambda: guard.run("a unit", unit)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)
    assert overlaps == 0


@pytest.mark.parametrize(
    "error",
    [
        BudgetNotMet("work", "hot lag 9 s", 3.0, {"hot_lag_s": 9.0}),
        BudgetBroken("work", "hot lag 9 s", 3.0, {"hot_lag_s": 9.0}),
    ],
)
def test_errors_survive_the_way_between_processes(error: BudgetNotMet | BudgetBroken) -> None:
    """Dagster sends them from the run to the UI."""
    copied = pickle.loads(pickle.dumps(error))

    assert str(copied) == str(error)
    assert vars(copied) == vars(error)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_work_that_nobody_watches_is_stopped() -> None:
    """A sampler that fails in an unforeseen way ends the unit."""
    hot = Scripted()

    def unit(cancel: Cancel) -> None:
        hot.lag_s = "no number"  # type: ignore[assignment]
        assert cancel.wait(30)
        cancel.check()

    with pytest.raises(BudgetBroken, match="the guard itself failed"):
        Guard(QUICK, hot).run("a unit", unit)
