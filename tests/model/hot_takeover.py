"""Becoming the hot writer (``ingest.hot_takeover.HotTakeOver.start``)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.hot_entry import after_deadline, halt, write
from tests.model.hot_letters import with_letters
from tests.model.hot_state import (
    FIRST_ENTRY,
    OFF,
    Bounds,
    Entry,
    Rules,
    World,
    is_there,
    put,
    settled,
    text,
)
from tests.model.marks import Mark, contradicted
from tests.model.search import Step


def start(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """A process starts and reads the entry; there may be none yet."""
    entry = world.entry or FIRST_ENTRY
    found = "starts, reads the entry (done {}, pending {})" if world.entry else "starts, no entry"
    writer = OFF._replace(at="fence" if world.entry else "make", current=1, entry=entry)
    said = (entry.done.sequence, text(entry.pending) if entry.pending else "none")
    after = put(world, who, writer)
    if not rules.fence:
        yield (who, found, *said), after
        return
    # With the compare-and-set, reading and writing are one step: it fails when somebody wrote.
    for _, taken in fence(rules, bounds, after, who):
        yield (who, found + ", takes the lane over", *said), taken


def fence(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """It changes writer and fence number only."""
    writer = world.writers[who]
    entry = writer.entry if rules.keep else writer.entry._replace(pending=())
    then = writer._replace(at="stock new" if writer.at == "make" else "stock")
    yield write(rules, world, who, entry, then, "takes the lane over")


def stock(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The table must hold the newest row on record and none beyond it."""
    writer = world.writers[who]
    entry, rows = writer.entry, world.rows
    names = [name for name, _ in world.epochs]
    if any(mark.epoch not in names for mark in marks_of(entry)):
        yield halt(rules, world, who, "the registry lacks the entry's epoch")
        return
    if rules.stock:
        if writer.at == "stock new" and rows:
            yield halt(rules, world, who, "rows are there, but no entry")
            return
        if entry.row and entry.row not in rows:
            yield halt(rules, world, who, "the newest row on record is missing")
            return
        if any_above(rows, entry.pending.last if entry.pending else entry.done):
            yield halt(rules, world, who, "rows lie beyond the record")
            return
    then = writer._replace(at="settle" if entry.pending else "open")
    yield (who, "finds table and record in agreement"), put(world, who, then)


def settle(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``HotInserter.landed`` on the range of the writer before."""
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    if not rules.look:
        yield (
            (who, "does not look for {}", text(pending)),
            put(world, who, writer._replace(at="absent")),
        )
    elif is_there(world, pending):
        yield (
            (who, "looks: {} is there", text(pending)),
            put(world, who, writer._replace(at="found")),
        )
    else:
        yield (
            (who, "looks: {} is not there", text(pending)),
            put(world, who, writer._replace(at="absent")),
        )


def absent(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The deadline passes; without the rule for the clock, the look before that has counted."""
    if not rules.wait:
        yield (who, "does not wait"), put(world, who, world.writers[who]._replace(at="compare"))
        return
    at = "late" if rules.clock and rules.look else "compare"
    for after in after_deadline(rules, world, who):
        yield (
            (who, "finds that the deadline has passed"),
            put(after, who, after.writers[who]._replace(at=at)),
        )


def late(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The look that begins after the deadline."""
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    there = is_there(world, pending)
    said = "looks again: {} is there" if there else "looks again: {} is not there"
    yield (
        (who, said, text(pending)),
        put(world, who, writer._replace(at="found" if there else "compare")),
    )


def found(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """What landed leaves the pending range by moving to done."""
    writer = world.writers[who]
    then = writer._replace(at="open")
    yield write(rules, world, who, settled(writer.entry), then, "writes it to done")


def compare(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The range is rebuilt only from the history that it was read from."""
    writer = world.writers[who]
    gone = contradicted(world.stream, marks_of(writer.entry)) if rules.history else ()
    then = writer._replace(at="open" if gone else "rebuild")
    said = "finds that the history was rewritten" if gone else "finds the history as it was"
    yield (who, said), put(world, who, then)


def rebuild(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The identical block from the stream; its dead letters before it."""
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    last = min(pending.last.sequence, len(world.stream))
    messages = [
        Mark(pending.last.epoch, sequence, world.stream[sequence - 1])
        for sequence in range(pending.first, last + 1)
    ]
    if rules.same and messages and messages[-1] != pending.last:
        yield (
            (who, "finds other messages in {} than it read", text(pending)),
            put(world, who, writer._replace(at="open")),
        )
        return
    world = with_letters(rules, bounds, world, messages)
    rows = tuple(mark for mark in messages if mark.message not in bounds.refused)
    if rows:
        then = writer._replace(at="settling", block=rows, fly="look")
        yield (who, "rebuilds {} from the stream", text(pending)), put(world, who, then)
        return
    entry = Entry(pending.last, writer.entry.row, ())
    then = writer._replace(at="open")
    yield write(rules, world, who, entry, then, "finds no message of {} any more", text(pending))


def marks_of(entry: Entry) -> list[Mark]:
    """The messages that the entry says were read."""
    return [entry.done, entry.pending.last] if entry.pending else [entry.done]


def any_above(rows: tuple[Mark, ...], top: Mark) -> bool:
    """Whether rows of the mark's epoch lie beyond it (``ClickHouseSink.newest_above``)."""
    return any(row.epoch == top.epoch and row.sequence > top.sequence for row in rows)
