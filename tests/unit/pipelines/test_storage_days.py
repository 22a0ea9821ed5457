"""When a day of the hot table is closed, old enough, and vouched for."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.ledger import FORMAT, LedgerEntry, SinkSum
from ingest.marks import Mark
from ingest.ranges import SequenceRange
from pipelines.hot_retention import not_vouched_for, too_young
from pipelines.storage_days import DAY_US, Stretch, bounds_us, still_written

DAY = date(2026, 3, 1)
FIRST_US, END_US = bounds_us(DAY)
LATER_US = END_US + 30 * DAY_US


def entry(first: int, last: int, **changes: Any) -> LedgerEntry:
    """A proven range within the day."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "lane": "L",
        "epoch": "e",
        "version": 1,
        "first": first,
        "last": last,
        "messages": last - first + 1,
        "holes": 0,
        "refused": 0,
        "rows": last - first + 1,
        "fingerprint": "0" * 16,
        "refused_fingerprint": "0" * 16,
        "first_stored_at_us": FIRST_US,
        "last_stored_at_us": END_US - 1,
        "compared": ("clickhouse", "iceberg"),
        "proven_at_us": END_US,
    }
    return LedgerEntry(**{**fields, **changes})


def objection(*entries: LedgerEntry, lane: str = "L", cutoff_us: int = LATER_US) -> str | None:
    """What speaks against dropping rows 10 to 20 of epoch e."""
    facts: Any = SimpleNamespace(lane="L", entries=entries)
    stretch = Stretch(lane, "e", SequenceRange(10, 20), 11)
    return not_vouched_for({"L": facts}, stretch, cutoff_us)


@pytest.mark.parametrize(
    ("days", "age_us", "kept"),
    [(0, 99 * DAY_US, True), (2, 2 * DAY_US - 1, True), (2, 2 * DAY_US, False)],
)
def test_a_day_is_old_when_its_last_row_can_only_be(days: int, age_us: int, *, kept: bool) -> None:
    """The age counts from the day's end, and 0 keeps everything."""
    assert (too_young(DAY, days, END_US + age_us) is not None) is kept


@pytest.mark.parametrize(
    ("done", "pending", "last_seq", "closed"),
    [
        (None, False, 0, False),
        (Mark("e", 5, END_US), True, 9, True),
        (Mark("e", 5, END_US - 1), False, 5, True),
        (Mark("e", 5, END_US - 1), False, 6, False),
        (Mark("e", 5, END_US - 1), True, 5, False),
    ],
)
def test_a_day_is_closed_once_the_hot_path_is_past_it(
    done: Mark | None, last_seq: int, *, pending: bool, closed: bool
) -> None:
    """Past it by its own mark, or with everything read; a pending insert leaves it open."""
    why = still_written(DAY, done, pending=pending, last_seq=last_seq, now_us=LATER_US)
    assert (why is None) is closed


def test_a_day_that_is_not_over_is_open() -> None:
    """Readings may still come in today, however far the hot path is."""
    done = Mark("e", 5, END_US - 10)
    assert still_written(DAY, done, pending=False, last_seq=5, now_us=END_US - 1) is not None


def test_ranges_without_a_gap_vouch_for_the_rows() -> None:
    """Several entries together may cover them; ranges of another epoch do not count."""
    assert objection(entry(1, 14), entry(15, 30)) is None
    told = objection(entry(1, 14), entry(15, 30, epoch="other"))
    assert "15-20" in str(told)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"unproven": ("clickhouse: missing 12",)}, "missing 12"),
        ({"losses": ("10-12 were not read by lake",)}, "not read by lake"),
        ({"compared": ("clickhouse",), "sinks": {"clickhouse": SinkSum(1, "0")}}, "not compared"),
        ({"last_stored_at_us": LATER_US}, "not old enough"),
    ],
)
def test_what_is_not_wholly_proven_and_old_keeps_the_day(
    changes: dict[str, Any], word: str
) -> None:
    """Accepted findings, losses, a sink that was left out, an entry that reaches into kept days."""
    assert word in str(objection(entry(1, 30, **changes)))


def test_rows_of_another_lane_keep_the_day() -> None:
    """The ledger of one lane says nothing of another."""
    assert "OTHER" in str(objection(entry(1, 30), lane="OTHER"))
