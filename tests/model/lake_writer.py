"""The lake writer's program (``ingest.lake.LakeWriter``, ``ingest.lake_takeover``)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.lake_state import (
    OFF,
    Attempt,
    Bounds,
    Rules,
    World,
    Writer,
    halt,
    put,
    stop,
    text,
)
from tests.model.lake_table import disagreement, loaded
from tests.model.marks import Mark, Parting, contradicted, epoch_of, named, parting
from tests.model.search import Step


def start(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """A process reads the fence and writes the next number; that fails if somebody wrote."""
    after = put(world, who, OFF._replace(at="fence", current=1))
    for _, taken in fence(rules, bounds, after, who):
        yield (who, "starts, takes the lane over"), taken


def fence(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``Fence.take_over``: the next number, by compare-and-set."""
    if not world.writers[who].current:
        yield (who, "takes the lane over, but another did: exit 4"), stop(world, who)
        return
    writers = tuple(
        one._replace(at="load") if number == who else one._replace(current=0)
        for number, one in enumerate(world.writers)
    )
    yield (who, "takes the lane over"), world._replace(writers=writers)


def without_overtaken(world: World) -> World:
    """The world in which overtaken writers have stopped, where that is all that they can do.

    They ask the fence before they read or send anything. What they have sent stays on its way.
    One that is following a rewrite may still register an epoch: what it would read is dropped.
    """
    for who, writer in enumerate(world.writers):
        if writer.current or writer.at == "off":
            continue
        if writer.at in ("load", "open", "run"):
            world = stop(world, who)
        elif writer.at == "name":
            world = put(world, who, OFF._replace(at="name", plan=writer.plan))
        elif writer.at in ("check", "finish", "follow"):
            still = writer._replace(spool=(), position=0, known=0, lost=0)
            world = put(world, who, still)
    return world


def load(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The table's watermark is the position, if the rows agree with it."""
    writer, table = world.writers[who], world.table
    why = disagreement(table) if rules.data else ""
    if why:
        yield halt(world, who, why)
        return
    watermark = table.watermark
    if watermark and watermark.epoch not in [name for name, _ in world.epochs]:
        yield halt(world, who, "the registry lacks the watermark's epoch")
        return
    position = watermark.sequence + 1 if watermark else 1
    then = writer._replace(
        at="open",
        watermark=watermark,
        base=table.snapshot,
        table=loaded(table, 0),
        position=position,
    )
    yield (who, "loads the table (watermark {})", position - 1), put(world, who, then)


def open_(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``Fence.confirm``."""
    writer = world.writers[who]
    if rules.fence and not writer.current:
        yield (who, "finds another writer's fence: exit 4"), stop(world, who)
        return
    yield (who, "finds the fence its own"), put(world, who, writer._replace(at="check", lost=0))


def check(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``LakeTakeOver.follow_history``: committed, spooled, and what the hot path has read."""
    writer = world.writers[who]
    marks = marks_of(rules, writer)
    if rules.hot and world.hot.epoch == world.epochs[-1][0]:
        marks.append(world.hot)
    gone = contradicted(world.stream, marks) if rules.history else ()
    if gone:
        then = writer._replace(at="finish" if rules.finish else "follow", plan=gone)
        yield (
            (who, "finds that {} is not the message that was read", gone.sequence),
            put(world, who, then),
        )
        return
    said = "finds the history as it was" if rules.history else "does not check the history"
    yield (who, said), put(world, who, writer._replace(at="run", known=len(world.epochs)))


def finish(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``LakeCommitter.finish``: the commit under way ends first."""
    writer = world.writers[who]
    if not writer.attempt:
        yield (
            (who, "has no commit under way any more"),
            put(world, who, writer._replace(at="follow")),
        )


def follow(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``ingest.history.follow``: the point at which stream and rows part."""
    writer = world.writers[who]
    gone = Mark(*writer.plan)
    known = known_epoch(rules, writer, gone)
    if known not in [name for name, _ in world.epochs]:
        yield halt(world, who, "the registry lacks the epoch of its rows")
        return
    part = parting(world.stream, world.epochs, known, world.table.rows, gone, by_rows=rules.rows)
    yield (
        (who, "goes back to {}", part.agreed + 1),
        put(world, who, writer._replace(at="name", plan=(known, *part))),
    )


def name(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``ingest.history.new_epoch``, then what was spooled is thrown away."""
    writer = world.writers[who]
    known, *found = writer.plan
    part = Parting(*found)
    epochs = named(world.stream, world.epochs, known, part)
    if epochs is None:
        return
    said = "adopts the new history" if epochs == world.epochs else "registers a new history"
    then = writer._replace(
        at="run",
        known=len(epochs),
        under=epochs[-1][0],
        position=part.agreed + 1,
        spool=(),
        read=(),
        plan=(),
    )
    yield (who, said + " from {}", epochs[-1][1]), put(world._replace(epochs=epochs), who, then)


def run(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """Messages into the spool, the spool into a commit."""
    writer = world.writers[who]
    if writer.lost:
        yield (
            (who, "has lost its connection and opens again"),
            put(world, who, writer._replace(at="open")),
        )
    elif writer.position <= (world.hot.sequence if bounds.hot_leads else len(world.stream)):
        yield from _read(rules, world, who)
    if writer.spool and not writer.attempt:
        attempt = Attempt(_unused(world), writer.spool, "try", 0)
        yield (
            (who, "begins the commit of {}", text(writer.spool)),
            put(world, who, writer._replace(spool=(), attempt=attempt)),
        )


def _read(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    writer = world.writers[who]
    if rules.ask and len(world.epochs) != writer.known:
        yield (
            (who, "reads, but another writer registered a new history"),
            put(world, who, writer._replace(lost=1)),
        )
        return
    sequence = writer.position
    if sequence > len(world.stream):
        return
    epoch = epoch_of(world.epochs[: writer.known], sequence)
    if writer.spool and writer.spool[-1].epoch != epoch:
        return
    mark = Mark(epoch, sequence, world.stream[sequence - 1])
    then = writer._replace(spool=(*writer.spool, mark), read=mark, position=sequence + 1)
    yield (who, "reads {}", sequence), put(world, who, then)


def marks_of(rules: Rules, writer: Writer) -> list[Mark]:
    """What was read and committed, without what an ended history left behind."""
    read = writer.read if rules.spool else ()
    marks = [mark for mark in (writer.watermark, read) if mark]
    return [mark for mark in marks if writer.under in (0, mark.epoch)]


def known_epoch(rules: Rules, writer: Writer, gone: Mark) -> int:
    """The epoch of the newest message that this writer knows."""
    marks = marks_of(rules, writer)
    return max(marks, key=lambda mark: mark.sequence).epoch if marks else gone.epoch


def _unused(world: World) -> int:
    """A commit id that nothing bears: as good as a random one, and finite."""
    used = {commit for _, commit in world.table.listed} | {world.table.commit}
    used |= {sent.commit for sent in world.orphans}
    used |= {one.attempt.commit for one in world.writers if one.attempt}
    if world.backup:
        used |= {commit for _, commit in world.backup.listed}
    return next(number for number in range(1, 1 << 30) if number not in used)
