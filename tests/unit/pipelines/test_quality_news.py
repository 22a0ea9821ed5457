"""Which verdicts are told again, and which ledger entries are held against the lake together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.ledger import FORMAT, LedgerEntry, SinkSum
from pipelines.defs.quality.sensors import Told, is_news
from pipelines.lake_recheck import expected
from pipelines.quality_verdict import Verdict, unknown

GREEN = Verdict("check", passed=True, text="fine", numbers={"proven_upto": 10})
RED = Verdict("check", passed=False, text="bad", numbers={"proven_upto": 10})


def test_a_change_is_news_at_once() -> None:
    """Red after green, unknown after red, and a proof that went on."""
    told = Told.of(GREEN, 0)

    assert is_news(GREEN, None, 0, 600)
    assert not is_news(GREEN, told, 599, 600)
    assert is_news(RED, told, 1, 600)
    assert is_news(unknown("check", "away"), Told.of(RED, 0), 1, 600)
    further = Verdict("check", passed=True, text="fine", numbers={"proven_upto": 11})
    assert is_news(further, told, 1, 600)


def test_what_stays_is_told_again_in_time() -> None:
    """Otherwise Dagster's plots would have no points."""
    assert is_news(GREEN, Told.of(GREEN, 0), 600, 600)


def entry(first: int, last: int, **more: object) -> LedgerEntry:
    """An entry with a row and a hash of 1 for each sequence."""
    count = last - first + 1
    fields = {
        "format": FORMAT,
        "lane": "L",
        "epoch": "e",
        "version": 1,
        "first": first,
        "last": last,
        "messages": count,
        "holes": 0,
        "refused": 0,
        "rows": count,
        "fingerprint": f"{count:016x}",
        "refused_fingerprint": f"{0:016x}",
        "first_stored_at_us": 0,
        "last_stored_at_us": 0,
        "compared": (),
        "proven_at_us": 0,
        **more,
    }
    return LedgerEntry(**fields)  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 100))
def test_neighbouring_entries_are_held_together(sizes: list[int], most: int) -> None:
    """Every entry counts once; no unit is larger than allowed unless one entry is."""
    entries = []
    first = 1
    for size in sizes:
        entries.append(entry(first, first + size - 1))
        first += size

    found = expected(entries, most)

    assert sum(one.rows for one in found) == sum(sizes)
    assert sum(one.fingerprint for one in found) == sum(sizes)
    assert all(len(one.segment.range) <= max(most, *sizes) for one in found)
    ends = [one.segment.range.last for one in found]
    assert ends == sorted(ends)


def test_entries_that_cannot_be_added_stay_apart() -> None:
    """Another epoch, another version, a gap, an accepted loss."""
    entries = [
        entry(1, 10),
        entry(11, 20, version=2),
        entry(21, 30, version=2, epoch="f"),
        entry(41, 50, version=2, epoch="f"),
        entry(51, 60, version=2, epoch="f", losses=("lost",), rows=0),
        entry(61, 70, version=2, epoch="f", sinks={"iceberg": SinkSum(7, f"{3:016x}")}),
    ]

    found = expected(entries, 1000)

    assert [str(one.segment.range) for one in found] == [
        "1-10",
        "11-20",
        "21-30",
        "41-50",
        "61-70",
    ]
    assert (found[-1].rows, found[-1].fingerprint) == (7, 3)
