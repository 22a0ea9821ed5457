"""The regression check: its ratio, its verdict, and that it measures all the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cpu.check import BOUND, EXPECTED, Expected, judge
from benchmarks.cpu.measuring import Measured, together
from benchmarks.cpu.work import READ_BYTES, Work, frames, reads, received, sample

STORED = Expected(
    cost=2.0,
    bound=BOUND,
    us_per_message=3.0,
    date="2026-01-02T03:04:05+00:00",
    commit="abc1234",
    machine="2 cores",
)


def measured(cost: float) -> Measured:
    """A measurement of that cost; the loop takes 10 ms."""
    return Measured(10_000, work_s=[cost * 0.01], loop_s=[0.01])


def test_the_best_rounds_count() -> None:
    """Rounds that were disturbed change nothing, in the work or in the loop."""
    quiet = Measured(20_000, work_s=[0.06] * 30, loop_s=[0.01] * 30)
    noisy = Measured(20_000, work_s=[0.2] * 27 + [0.06] * 3, loop_s=[0.01] * 3 + [0.03] * 27)
    assert noisy.cost == quiet.cost == pytest.approx(3.0)
    assert noisy.us == pytest.approx(3.0)


def test_one_lucky_round_does_not_decide() -> None:
    """The best tenth counts, not the best."""
    lucky = Measured(20_000, work_s=[0.06] * 29 + [0.03], loop_s=[0.01] * 30)
    assert lucky.cost == pytest.approx(3.0)


def test_a_process_that_is_slow_in_one_thing_changes_nothing() -> None:
    """Memory that lies badly makes the work or the loop of a whole process slow."""
    good = Measured(10_000, work_s=[0.02] * 60, loop_s=[0.01] * 60)
    slow_work = Measured(10_000, work_s=[0.03] * 60, loop_s=[0.01] * 60)
    slow_loop = Measured(10_000, work_s=[0.02] * 60, loop_s=[0.015] * 60)
    assert together([slow_work, good, slow_loop]).cost == pytest.approx(good.cost)


def test_a_slower_machine_costs_the_same() -> None:
    """Work and loop slow down together."""
    fast = Measured(10_000, work_s=[0.02], loop_s=[0.01])
    slow = Measured(10_000, work_s=[0.05], loop_s=[0.025])
    assert slow.cost == pytest.approx(fast.cost)


@pytest.mark.parametrize(
    ("ratio", "passed"), [(0.5, True), (1.0, True), (1.34, True), (1.36, False)]
)
def test_the_bound_decides(ratio: float, passed: bool) -> None:
    """Above the bound fails; below passes, however far."""
    assert judge(measured(ratio * STORED.cost), STORED).passed is passed


def test_a_failure_says_figure_bound_and_what_to_do() -> None:
    """Whoever reads it in a log needs nothing else."""
    text = judge(measured(3.0), STORED).text
    for part in ("3.00", "1.50 times", "2.00", "1.35", "abc1234", "make bench-check ARGS=--record"):
        assert part in text


def test_a_figure_far_below_asks_to_be_recorded() -> None:
    """Else the next regression has room to hide in."""
    assert "ARGS=--record" in judge(measured(1.0), STORED).text
    assert "ARGS=--record" not in judge(measured(1.9), STORED).text


def test_what_is_stored_can_be_read_and_written(tmp_path: Path) -> None:
    """The file in the repository is whole, and what is recorded is what is read."""
    assert Expected.load(EXPECTED).bound == BOUND
    STORED.save(tmp_path / "expected.json")
    assert Expected.load(tmp_path / "expected.json") == STORED


def test_every_message_becomes_a_row() -> None:
    """The work that is measured is the whole work: each message is read, decoded and stored."""
    work = Work(3_000)
    done = work.do()
    assert (done.rows, done.refused) == (3_000, 0)
    assert done.insert_bytes > 3_000 * 50


def test_messages_come_out_as_they_went_in() -> None:
    """However the reads cut the frames."""
    sent = list(sample(3_000))
    pieces = reads(frames(sent))
    runs = received(pieces, 1_000)
    assert len(pieces) > 1
    assert all(len(piece) <= READ_BYTES for piece in pieces)
    assert [len(run) for run in runs] == [1_000, 1_000, 1_000]
    assert [text for run in runs for text in run.payloads] == [one.payload for one in sent]
    assert [text for run in runs for text in run.subjects] == [one.subject for one in sent]
    assert [number for run in runs for number in run.sequences] == list(range(1, 3_001))
