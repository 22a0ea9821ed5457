"""Writing the kept entry, stopping, and how a writer ends: the steps that all others share."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.hot_state import (
    OFF,
    Entry,
    Rules,
    World,
    Writer,
    insert_of,
    orphaned,
    put,
)
from tests.model.marks import NOWHERE, Mark
from tests.model.search import Step

ON_ITS_WAY = ("ready", "sent", "ready again", "sent again")
SENT = ("sent", "sent again")
ENDS_WITH_A_WRITE = (
    "make",
    "fence",
    "stock",
    "stock new",
    "settle",
    "absent",
    "late",
    "found",
    "compare",
    "rebuild",
    "settling",
    "open",
    "run",
    "given",
    "back",
)
"""From here a writer either writes the entry next or reads it back."""

FOLLOWS = ("check", "give up", "gone", "gone late", "follow", "name")
"""From here it may register an epoch before that."""


def write(
    rules: Rules, world: World, who: int, entry: Entry, then: Writer, text: str, *values: object
) -> Step[World]:
    """``EntryStore.move``: the entry changes if its revision is the one that the writer knows."""
    if rules.fence and not world.writers[who].current:
        return (who, text + ", but another writer wrote since: exit 4", *values), stop(
            rules, world, who
        )
    after = kept(world, who, entry)
    return (who, text, *values), put(after, who, then._replace(current=1, entry=entry))


def kept(world: World, who: int, entry: Entry) -> World:
    """The world with that entry: every other writer's revision is an old one now."""
    writers = tuple(
        one._replace(current=0) if one.current and number != who else one
        for number, one in enumerate(world.writers)
    )
    return world._replace(entry=entry, writers=writers)


def stop(rules: Rules, world: World, who: int) -> World:
    """The writer ends by itself; what it has sent goes on."""
    writer = world.writers[who]
    if writer.fly in ON_ITS_WAY:
        world = orphaned(world, insert_of(rules, writer))
    return put(world, who, OFF)


def halt(rules: Rules, world: World, who: int, text: str) -> Step[World]:
    """The writer stops for good and asks for a repair (exit 3)."""
    at = "halted" if world.writers[who].current else "alarmed"
    after = put(stop(rules, world, who), who, OFF._replace(at=at))
    return (who, "stops for good: " + text), after


def crash(rules: Rules, world: World, who: int) -> World:
    """SIGKILL: what was sent may land yet, what was not sent never will."""
    writer = world.writers[who]
    if writer.fly in SENT:
        world = orphaned(world, insert_of(rules, writer))
    return put(world, who, OFF)


def without_overtaken(rules: Rules, world: World) -> World:
    """The world in which overtaken writers have stopped, where that is all that they can do.

    Whatever such a writer does before its next write to the entry is seen by nobody, and the
    write fails. What it has sent, or is about to send, stays on its way. One that is following a
    rewrite may still register an epoch: of it only what decides on that is kept.
    """
    for who, writer in enumerate(world.writers):
        if writer.current or writer.at == "off":
            continue
        if writer.at in ENDS_WITH_A_WRITE:
            world = stop(rules, world, who)
        elif writer.at in FOLLOWS:
            world = put(stop(rules, world, who), who, _following(writer))
    return world


def _following(writer: Writer) -> Writer:
    """Its looks and waits decide only on a write that fails; its epoch on what it registers."""
    done, pending = writer.entry.done, writer.entry.pending
    if writer.at == "check":
        left = pending._replace(row=NOWHERE, salt=0) if pending else ()
        return OFF._replace(at="check", entry=Entry(done, (), left))
    at = "name" if writer.at == "name" else "follow"
    entry = Entry(Mark(done.epoch, 0, 0), (), ())
    return OFF._replace(at=at, entry=entry, plan=writer.plan)


def after_deadline(rules: Rules, world: World, who: int) -> Iterator[World]:
    """The worlds in which the writer has waited for the deadline of all that was sent before.

    What is on its way then can no longer land. That is so for every insert that was put on record
    before the writer's last compare-and-set, so not for those of a writer's successors. ``late``:
    one of them lands all the same (the process was stopped after it looked at the clock).
    """
    if not rules.deadline or not world.writers[who].current:
        yield world
        return
    yield _dead(world, -1, -1)
    if world.left.late:
        fewer = world._replace(left=world.left._replace(late=world.left.late - 1))
        for number in range(len(world.orphans)):
            yield _dead(fewer, number, -1)
        for number, writer in enumerate(world.writers):
            if number != who and writer.fly in ON_ITS_WAY:
                yield _dead(fewer, -1, number)


def _dead(world: World, spared_orphan: int, spared_writer: int) -> World:
    orphans = world.orphans[spared_orphan : spared_orphan + 1] if spared_orphan >= 0 else ()
    writers = tuple(
        one._replace(fly="look") if one.fly in ON_ITS_WAY and number != spared_writer else one
        for number, one in enumerate(world.writers)
    )
    return world._replace(orphans=orphans, writers=writers)
