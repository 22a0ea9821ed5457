"""The plan covers the closed range once, and says who can vouch for each part."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.ledger import FORMAT, LedgerEntry, SinkSum
from ingest.marks import Mark
from ingest.proof.plan import SPAN, Kind, Known, Part, closed, make_plan
from ingest.ranges import SequenceRange
from ingest.registry import Epoch, Loss, Registry, RegistryRecord, Version


def registry(
    epochs: tuple[tuple[str, int], ...] = (("a", 1),),
    versions: tuple[tuple[str, int], ...] = (("a", 1),),
    losses: tuple[Loss, ...] = (),
) -> Registry:
    """A registry of epochs (id, first) and versions (epoch, first)."""
    record = RegistryRecord(
        1,
        tuple(Epoch(name, "", first, number) for number, (name, first) in enumerate(epochs)),
        tuple(Version(n, epoch, first, "") for n, (epoch, first) in enumerate(versions, 1)),
        losses,
    )
    return Registry("L", record, 1)


def entry(first: int, last: int, epoch: str = "a", *, accepted: bool = False) -> LedgerEntry:
    """A ledger entry of that range."""
    return LedgerEntry(
        format=FORMAT,
        lane="L",
        epoch=epoch,
        version=1,
        first=first,
        last=last,
        messages=last - first + 1,
        holes=0,
        refused=0,
        rows=last - first + 1,
        fingerprint="0" * 15 + "1",
        refused_fingerprint="0" * 16,
        first_stored_at_us=1,
        last_stored_at_us=2,
        compared=("clickhouse", "iceberg"),
        proven_at_us=3,
        unproven=("x",) if accepted else (),
        sinks={"iceberg": SinkSum(0, "0" * 16)} if accepted else {},
    )


def told(parts: list[Part]) -> list[tuple[str, str, int, int]]:
    """Kind, epoch, first and last of every part."""
    return [
        (str(one.kind), one.segment.epoch, one.segment.range.first, one.segment.range.last)
        for one in parts
    ]


def plan(
    known: Registry,
    upto: tuple[str, int],
    entries: tuple[LedgerEntry, ...] = (),
    *,
    stream_first: int = 1,
    full: bool = False,
) -> list[tuple[str, str, int, int]]:
    """The plan, told."""
    mark = Mark(upto[0], upto[1], 5)
    return told(make_plan(Known(known, mark, stream_first, entries), full=full))


def test_a_first_run_begins_with_the_lane() -> None:
    """Without a ledger everything up to the mark is compared."""
    assert plan(registry(), ("a", 300)) == [("stream", "a", 1, 300)]


def test_a_later_run_follows_the_ledger() -> None:
    """Only what comes after the newest entry is compared, and nothing twice."""
    assert plan(registry(), ("a", 300), (entry(1, 200),)) == [("stream", "a", 201, 300)]
    assert plan(registry(), ("a", 200), (entry(1, 200),)) == []


def test_full_takes_the_ledger_for_what_the_stream_lost() -> None:
    """Entries that the stream holds in whole are read again, others are held against the ledger."""
    entries = (entry(1, 100), entry(101, 200), entry(201, 250))

    assert plan(registry(), ("a", 300), entries, stream_first=150, full=True) == [
        ("ledger", "a", 1, 200),
        ("stream", "a", 201, 300),
    ]


def test_accepted_entries_stay_what_they_are() -> None:
    """A range on record as unproven is held against what the sinks held then."""
    entries = (entry(1, 100, accepted=True), entry(101, 200))

    assert plan(registry(), ("a", 200), entries, full=True) == [
        ("ledger", "a", 1, 100),
        ("stream", "a", 101, 200),
    ]


def test_what_aged_out_is_told_apart_from_accepted_losses() -> None:
    """Losses on record need no proof; the rest of what has aged out is unproven."""
    losses = (Loss("hot", "a", 20, 30),)

    assert plan(registry(losses=losses), ("a", 300), stream_first=51) == [
        ("aged out", "a", 1, 19),
        ("lost", "a", 20, 30),
        ("aged out", "a", 31, 50),
        ("stream", "a", 51, 300),
    ]


def test_a_rewritten_history_leaves_a_tail() -> None:
    """Rows of the old history beyond the parting have no stream to vouch for them."""
    known = registry((("a", 1), ("b", 201)))

    parts = plan(known, ("b", 300), (entry(1, 100),))
    assert [one[:3] for one in parts] == [
        ("stream", "a", 101),
        ("rewritten", "a", 201),
        ("stream", "b", 201),
    ]
    # A sink that has not gone over to the new history yet says nothing about the tail.
    assert plan(known, ("a", 250)) == [("stream", "a", 1, 200)]


def test_a_stream_made_anew_counts_from_one() -> None:
    """The new stream's sequences are those of the new epoch; the old one is ledger or tail."""
    known = registry((("a", 1), ("b", 1)))

    parts = plan(known, ("b", 50), (entry(1, 100),), full=True)
    assert [one[:3] for one in parts] == [
        ("ledger", "a", 1),
        ("rewritten", "a", 101),
        ("stream", "b", 1),
    ]


def test_a_contract_version_is_a_part_of_its_own() -> None:
    """Rows are hashed under the version that decoded them."""
    known = registry(versions=(("a", 1), ("a", 121)))
    mark = Mark("a", 300, 5)

    parts = make_plan(Known(known, mark, 1, ()), full=False)

    assert [(one.segment.version, one.segment.range) for one in parts] == [
        (1, SequenceRange(1, 120)),
        (2, SequenceRange(121, 300)),
    ]


@given(st.integers(1, 3 * SPAN), st.integers(0, 3 * SPAN), st.integers(1, 3 * SPAN))
def test_parts_cover_the_range_once(upto: int, proven: int, stream_first: int) -> None:
    """Whatever was proven and has aged out, each sequence is in one part, and spans are bounded."""
    entries = (entry(1, proven),) if proven else ()

    parts = plan(registry(), ("a", upto), entries, stream_first=stream_first)

    first = proven + 1
    for kind, _, start, end in parts:
        assert start == first
        assert kind == ("aged out" if end < stream_first else "stream")
        assert kind == str(Kind.AGED_OUT) or end - start < SPAN
        first = end + 1
    assert first == max(upto, proven) + 1


def test_both_sinks_must_have_gone_over() -> None:
    """A mark of an ended history reaches to its end; the lesser of both closes the range."""
    known = registry((("a", 1), ("b", 201)))

    assert closed(known, [Mark("a", 250, 1), Mark("b", 300, 1)]) == Mark("a", 200, 0)
    assert closed(known, [Mark("b", 280, 1), Mark("b", 300, 1)]) == Mark("b", 280, 0)
    # Moved back after a rewrite, to what its sink holds of the history before.
    moved = closed(known, [Mark("b", 180, 1), Mark("b", 300, 1)])
    assert moved == Mark("b", 180, 0)
    parts = make_plan(Known(known, moved, 1, ()), full=False)
    assert told(parts) == [("stream", "a", 1, 180)]
    made_anew = registry((("a", 1), ("b", 1)))
    assert closed(made_anew, [Mark("a", 300, 1), Mark("b", 40, 1)]).sequence == 0


@pytest.mark.parametrize("stream_first", [1, 50])
def test_what_the_hot_table_may_have_dropped_is_judged_apart(stream_first: int) -> None:
    """Entries on both sides of the hot table's retention are never joined into one part."""
    old, new = entry(1, 10), msgspec.structs.replace(entry(11, 20), last_stored_at_us=200)
    known = Known(registry(), Mark("a", 20, 0), stream_first, (old, new), hot_since_us=100)

    parts = make_plan(known, full=True)

    assert [(one.aged, one.segment.range.first, one.segment.range.last) for one in parts] == [
        (True, 1, 10),
        (False, 11, 20),
    ]


@given(
    st.integers(0, 5).flatmap(lambda n: st.lists(st.integers(1, 40), min_size=n, max_size=n)),
    st.integers(1, 60),
    st.integers(10, 50),
)
def test_units_from_a_sequence_on_cover_everything_once(
    sizes: list[int], more: int, unit: int
) -> None:
    """Cut into units by ``since`` and ``upto``, ledger and new range are planned exactly once."""
    entries: list[LedgerEntry] = []
    for size in sizes:
        first = entries[-1].last + 1 if entries else 1
        entries.append(entry(first, first + size - 1))
    last = (entries[-1].last if entries else 0) + more
    covered: list[int] = []
    first = 1

    while first <= last:
        upto = min(first + unit - 1, last)
        known = Known(registry(), Mark("a", upto, 0), 1, tuple(entries))
        for part in make_plan(known, full=False, since=first):
            covered += range(part.segment.range.first, part.segment.range.last + 1)
        first = upto + 1

    assert sorted(covered) == list(range(1, last + 1))


def test_from_a_sequence_behind_the_ledger_nothing_is_compared_twice() -> None:
    """What lies between the ledger and the sequence is left out; so is what was proven."""
    known = Known(registry(), Mark("a", 90, 0), 1, (entry(1, 20),))

    assert told(make_plan(known, full=False, since=51)) == [("stream", "a", 51, 90)]
    assert told(make_plan(known, full=False, since=21)) == [("stream", "a", 21, 90)]
    assert told(make_plan(known, full=False, since=1)) == [("stream", "a", 1, 90)]
