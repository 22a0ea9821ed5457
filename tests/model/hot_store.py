"""Reading and storing (``ingest.hot.HotWriter``, ``ingest.hot_insert.HotInserter``)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.hot_entry import after_deadline, write
from tests.model.hot_letters import with_letters
from tests.model.hot_state import (
    Bounds,
    Entry,
    Pending,
    Rules,
    World,
    insert_of,
    is_there,
    landed,
    orphaned,
    put,
    settled,
    spent,
    text,
)
from tests.model.marks import Mark, epoch_of
from tests.model.search import Step

MOST_SALT = 2
OVER = ("", "done")
READ_ON = ("", "done", "ready", "sent", "landed")


def run(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The writer's loop: read, put on record, insert; open again when the connection was lost."""
    writer = world.writers[who]
    if not writer.held:
        if writer.lost:
            yield (
                (who, "has lost its connection and opens again"),
                put(world, who, writer._replace(at="open")),
            )
        elif writer.fly in READ_ON:
            yield from _read(rules, bounds, world, who)
        if writer.fly == "done":
            yield from write_done(rules, world, who, "run")
    elif writer.fly in OVER or not rules.one:
        yield _store(rules, bounds, world, who)
    yield from fly(rules, world, who)


def _read(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """One batch, of one epoch; the registry is read after its messages were received."""
    writer = world.writers[who]
    entry = writer.entry
    position = (entry.pending.last if entry.pending else entry.done).sequence + 1
    if len(world.epochs) != writer.known:
        yield (
            (who, "reads, but another writer registered a new history"),
            put(world, who, writer._replace(lost=1)),
        )
        return
    epoch = epoch_of(world.epochs, position)
    held: tuple[Mark, ...] = ()
    for sequence in range(position, min(position + bounds.widest, len(world.stream) + 1)):
        if epoch_of(world.epochs, sequence) != epoch:
            return
        held = (*held, Mark(epoch, sequence, world.stream[sequence - 1]))
        after = with_letters(rules, bounds, world, held) if rules.letter else world
        said = str(sequence) if sequence == position else f"{position}-{sequence}"
        yield (who, "reads {}", said), put(after, who, writer._replace(held=held))
        if world.left.frames and len(held) > 1 and not rules.gap:
            gone = put(spent(after, "frames"), who, writer._replace(held=held[1:]))
            yield (who, "reads {}, the first frame is lost on the way", said), gone
    if world.left.frames and held and rules.gap:
        yield (
            (who, "sees that a frame was lost on the way"),
            put(spent(world, "frames"), who, writer._replace(lost=1)),
        )


def _store(rules: Rules, bounds: Bounds, world: World, who: int) -> Step[World]:
    """``HotInserter.store``: what landed moves to done, the batch's range becomes pending."""
    writer = world.writers[who]
    before, held = writer.entry, writer.held
    if before.pending:
        if writer.fly not in OVER:
            world = orphaned(world, insert_of(rules, writer))
        before = settled(before)
    rows = tuple(mark for mark in held if mark.message not in bounds.refused)
    at = "run" if rules.letter else "letters"
    plan = () if rules.letter else tuple(mark.message for mark in held)
    said = text(Pending(held[0].sequence, held[-1], held[-1], 0))
    if not rows:
        entry = Entry(held[-1], before.row, ())
        then = writer._replace(at=at, held=(), block=(), fly="", plan=plan)
        return write(rules, world, who, entry, then, "writes {}, all refused, to done", said)
    entry = before._replace(pending=Pending(held[0].sequence, held[-1], rows[-1], 0))
    then = writer._replace(at=at, held=(), block=rows, fly="ready", plan=plan)
    if rules.pending:
        return write(rules, world, who, entry, then, "writes {} to pending", said)
    label, after = write(rules, world, who, before, then, "begins {}, not on record", said)
    if after.writers[who].at == at:
        after = put(after, who, after.writers[who]._replace(entry=entry))
    return label, after


def letters(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """Without the rule that they come first, dead letters are published after the record."""
    writer = world.writers[who]
    messages = [Mark(0, 0, message) for message in writer.plan]
    after = with_letters(rules, bounds, world, messages)
    yield (
        (who, "publishes what dead letters there are"),
        put(after, who, writer._replace(at="run", plan=())),
    )


def settling(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``HotTakeOver._insert_again``: until the rebuilt block has landed."""
    if world.writers[who].fly == "done":
        yield from write_done(rules, world, who, "open")
    else:
        yield from fly(rules, world, who)


def write_done(rules: Rules, world: World, who: int, at: str) -> Iterator[Step[World]]:
    """``HotInserter.write_done``: now, instead of with the next batch."""
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    then = writer._replace(at=at, block=(), fly="")
    yield write(rules, world, who, settled(writer.entry), then, "writes {} to done", text(pending))


def fly(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    """What the writer does about its insert (``HotInserter.settle``)."""
    writer = world.writers[who]
    step = STEPS.get(writer.fly)
    if step is not None:
        yield from step(rules, world, who)


def task(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    """What happens to the insert itself, whatever its writer does meanwhile."""
    writer = world.writers[who]
    kind = writer.fly
    if not writer.entry.pending or not kind:
        return
    said = text(writer.entry.pending)
    again = " again" if kind.endswith("again") else ""
    if kind.startswith("ready"):
        yield (
            (who, f"sends the insert of {{}}{again}", said),
            put(world, who, writer._replace(fly="sent" + again)),
        )
    elif kind.startswith("sent"):
        insert = insert_of(rules, writer)
        seen = rules.token and insert.token in world.tokens
        lands = landed(rules, world, insert)
        how = "is dropped, its token was seen" if seen else "lands"
        yield (
            (-1, f"the insert of {{}} {how}", said),
            put(lands, who, writer._replace(fly="landed" + again)),
        )
        yield (
            (who, "is told that the insert of {} failed", said),
            put(world, who, writer._replace(fly="look")),
        )
        yield (
            (who, "gets no answer for {}, which is on its way", said),
            put(orphaned(world, insert), who, writer._replace(fly="doubt")),
        )
    elif kind.startswith("landed"):
        count = "count" if again and rules.count else "done"
        yield (
            (who, "is told that {} was inserted", said),
            put(world, who, writer._replace(fly=count)),
        )
        yield (who, "gets no answer for {}", said), put(world, who, writer._replace(fly="doubt"))


def _doubt(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    yield _looked(rules, world, who, "doubt later")


def _doubt_later(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    """As at a take-over: the deadline passes, and it is looked once more (rule for the clock)."""
    then = "look" if rules.clock else "renew"
    for after in after_deadline(rules, world, who):
        yield (
            (who, "finds that the deadline has passed"),
            put(after, who, after.writers[who]._replace(fly=then)),
        )


def _look(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    yield _looked(rules, world, who, "renew")


def _looked(rules: Rules, world: World, who: int, absent: str) -> Step[World]:
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    there = rules.look and is_there(world, pending)
    said = ("is there" if there else "is not there") if rules.look else "may be there: no look"
    return (who, f"looks: {{}} {said}", text(pending)), put(
        world, who, writer._replace(fly="done" if there else absent)
    )


def _renew(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    writer = world.writers[who]
    then = writer._replace(fly="ready again")
    yield write(rules, world, who, writer.entry, then, "renews the pending range")


def _count(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    there = is_there(world, pending)
    said = "counts the rows of {}: " + ("they are there" if there else "none")
    yield (
        (who, said, text(pending)),
        put(world, who, writer._replace(fly="done" if there else "salt")),
    )


def _salt(rules: Rules, world: World, who: int) -> Iterator[Step[World]]:
    writer = world.writers[who]
    pending = writer.entry.pending
    assert pending
    if pending.salt < MOST_SALT:
        entry = writer.entry._replace(pending=pending._replace(salt=pending.salt + 1))
        then = writer._replace(fly="look")
        yield write(rules, world, who, entry, then, "salts the token of {}", text(pending))


STEPS = {
    "doubt": _doubt,
    "doubt later": _doubt_later,
    "look": _look,
    "renew": _renew,
    "count": _count,
    "salt": _salt,
}
