"""Opening a reader, and following a rewritten history (``HotWriter._open``, ``ingest.history``)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.hot_entry import ON_ITS_WAY, after_deadline, halt, stop, write
from tests.model.hot_state import (
    Bounds,
    Entry,
    Rules,
    World,
    insert_of,
    is_there,
    orphaned,
    put,
    settled,
    text,
)
from tests.model.hot_takeover import any_above, marks_of
from tests.model.marks import Mark, Parting, contradicted, named, nearest_row, parting
from tests.model.search import Step


def open_(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``EntryStore.confirm``: the entry must be what this writer wrote last."""
    writer = world.writers[who]
    if rules.confirm and rules.fence and not writer.current:
        yield (who, "finds another writer's entry: exit 4"), stop(rules, world, who)
        return
    yield (
        (who, "finds the entry as it left it"),
        put(world, who, writer._replace(at="check", lost=0)),
    )


def check(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The messages that the entry says were read must be the stream's."""
    writer = world.writers[who]
    gone = contradicted(world.stream, marks_of(writer.entry)) if rules.history else ()
    if not gone:
        said = "finds the history as it was" if rules.history else "does not check the history"
        then = writer._replace(at="run", known=len(world.epochs))
        yield (who, said), put(world, who, then)
        return
    then = writer._replace(at="give up" if writer.entry.pending else "follow", plan=gone)
    yield (who, "finds that {} is not the message it read", gone.sequence), put(world, who, then)


def give_up(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``HotTakeOver._give_up_pending``: it either landed, or can never land any more."""
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    if not rules.settle:
        if writer.fly in ON_ITS_WAY:
            world = orphaned(world, insert_of(rules, writer))
        yield (
            (who, "gives {} up", text(pending)),
            put(world, who, writer._replace(at="follow", fly="", block=())),
        )
    elif is_there(world, pending):
        yield (
            (who, "looks: {} is there", text(pending)),
            put(world, who, writer._replace(at="given")),
        )
    else:
        yield (
            (who, "looks: {} is not there", text(pending)),
            put(world, who, writer._replace(at="gone")),
        )


def given(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The pending range had landed before the history was rewritten."""
    writer = world.writers[who]
    then = writer._replace(at="follow", fly="", block=())
    yield write(rules, world, who, settled(writer.entry), then, "writes it to done")


def gone_(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """It has not landed, and the deadline passes."""
    at = "gone late" if rules.clock else "follow"
    for after in after_deadline(rules, world, who):
        writer = after.writers[who]
        yield (
            (who, "finds that the deadline has passed"),
            put(after, who, writer._replace(at=at, fly="", block=())),
        )


def gone_late(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The look that begins after the deadline."""
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    there = is_there(world, pending)
    said = "looks again: {} is there" if there else "looks again: {} is not there, gives it up"
    yield (
        (who, said, text(pending)),
        put(world, who, writer._replace(at="given" if there else "follow")),
    )


def follow(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``ingest.history.follow``: the point at which stream and rows part."""
    writer = world.writers[who]
    known = writer.entry.done.epoch
    if known not in [name for name, _ in world.epochs]:
        yield halt(rules, world, who, "the registry lacks the epoch of its rows")
        return
    gone = Mark(*writer.plan)
    part = parting(world.stream, world.epochs, known, world.rows, gone, by_rows=rules.rows)
    yield (
        (who, "goes back to {}", part.agreed + 1),
        put(world, who, writer._replace(at="name", plan=part)),
    )


def name(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``ingest.history.new_epoch``: waits for the new history's first message."""
    writer = world.writers[who]
    part = Parting(*writer.plan)
    epochs = named(world.stream, world.epochs, writer.entry.done.epoch, part)
    if epochs is not None:
        said = "adopts the new history" if epochs == world.epochs else "registers a new history"
        yield (
            (who, said + " from {}", epochs[-1][1]),
            put(world._replace(epochs=epochs), who, writer._replace(at="back")),
        )


def back(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``HotTakeOver._go_back``: done moves to just before the position."""
    writer = world.writers[who]
    last = Parting(*writer.plan).agreed
    stored = world.stream[last - 1] if 0 < last <= len(world.stream) else 0
    done = Mark(world.epochs[-1][0], last, stored)
    if rules.stock and any_above(world.rows, done):
        yield halt(rules, world, who, "rows lie beyond the record")
        return
    entry = Entry(done, nearest_row(world.rows, last), ())
    then = writer._replace(at="run", known=len(world.epochs), fly="", block=(), plan=())
    yield write(rules, world, who, entry, then, "writes done {}", last)
