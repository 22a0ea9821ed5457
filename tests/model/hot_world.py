"""What happens to the hot path from outside: crashes, late inserts, rewrites, restored copies."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.hot_entry import ON_ITS_WAY, SENT, crash
from tests.model.hot_state import (
    OFF,
    Bounds,
    Copy,
    Entry,
    Rules,
    Token,
    World,
    insert_of,
    landed,
    spent,
    token_of,
)
from tests.model.marks import Mark, nearest_row
from tests.model.search import Step

STOPPED = ("off", "halted", "alarmed")
BEFORE_OPENING = (
    *STOPPED,
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
)
"""There is no reader yet whose connection could be lost."""

LOOKED = ("absent", "late", "compare", "rebuild", "settling", "gone")
LOOKED_AGAIN = ("doubt later", "look", "renew")


def around(rules: Rules, bounds: Bounds, world: World) -> Iterator[Step[World]]:
    """Every step that no writer takes."""
    left = world.left
    yield from _inserts(rules, world)
    if left.crashes:
        for who, writer in enumerate(world.writers):
            if writer.at not in STOPPED:
                said = " with its insert on the way" if writer.fly in SENT else ""
                yield (who, "is killed" + said), crash(rules, spent(world, "crashes"), who)
    if left.rewrites:
        yield from _rewrites(world)
    if len(world.stream) < bounds.messages:
        after = world._replace(stream=(*world.stream, world.next), next=world.next + 1)
        yield (-1, "a new message takes sequence {}", len(world.stream) + 1), after
    if left.evictions:
        yield from _evicts(rules, world)
    if left.backups and not world.backup:
        copy = Copy(world.entry, world.epochs, world.rows, world.tokens)
        yield (-1, "backups are made"), spent(world, "backups")._replace(backup=copy)
    if all(writer.at in STOPPED for writer in world.writers):
        yield from _restores(world)
        if world.damaged and any(writer.at == "halted" for writer in world.writers):
            yield (-1, "`ingest repair hot` is run"), repaired(bounds, world)


def _inserts(rules: Rules, world: World) -> Iterator[Step[World]]:
    for number, insert in enumerate(world.orphans):
        if number and insert == world.orphans[number - 1]:
            continue
        rest = (*world.orphans[:number], *world.orphans[number + 1 :])
        _, first, last, _ = insert.token
        said = str(first) if first == last else f"{first}-{last}"
        seen = rules.token and insert.token in world.tokens
        how = "is dropped, its token was seen" if seen else "lands"
        after = landed(rules, world, insert)._replace(orphans=rest)
        yield (-1, f"the insert of {{}} that was on its way {how}", said), after


def _rewrites(world: World) -> Iterator[Step[World]]:
    """The stream loses its tail; every connection to the server is lost with it."""
    writers = tuple(
        one if one.at in BEFORE_OPENING else one._replace(lost=1) for one in world.writers
    )
    fewer = spent(world, "rewrites")._replace(writers=writers)
    for kept in range(len(world.stream)):
        yield (
            (-1, "the stream loses everything after {}", kept),
            fewer._replace(stream=world.stream[:kept]),
        )


def _evicts(rules: Rules, world: World) -> Iterator[Step[World]]:
    """Other lanes push tokens out of the window, which is sized to outlast the deadline.

    So a token goes only when no insert that bears it can still land, nor is about to be sent
    by a writer that has looked.
    """
    held: set[Token] = set()
    if rules.deadline:
        held = {insert.token for insert in world.orphans}
        for one in world.writers:
            if one.fly in ON_ITS_WAY:
                held.add(insert_of(rules, one).token)
            elif one.entry.pending and (one.at in LOOKED or one.fly in LOOKED_AGAIN):
                held.add(token_of(rules, one.entry.pending))
    left = tuple(token for token in world.tokens if token in held) if rules.look else ()
    if left != world.tokens:
        yield (
            (-1, "other lanes push the tokens out of the window"),
            spent(world, "evictions")._replace(tokens=left),
        )


def _restores(world: World) -> Iterator[Step[World]]:
    """With all writers stopped, for longer than the deadline: rows dropped, a copy put back."""
    left, world = world.left, world._replace(orphans=())
    if left.drops and world.rows:
        yield (
            (-1, "the table's rows are dropped, not its tokens"),
            spent(world, "drops")._replace(rows=(), damaged=1),
        )
    if not world.backup:
        return
    entry, epochs, rows, tokens = world.backup
    if left.restores and rows != world.rows:
        yield (
            (-1, "the older table is put back"),
            spent(world, "restores")._replace(rows=rows, tokens=tokens, damaged=1),
        )
    if left.kept_restores and entry != world.entry:
        yield (
            (-1, "the older key-value bucket is put back"),
            spent(world, "kept_restores")._replace(entry=entry, epochs=epochs, damaged=1),
        )


def repaired(bounds: Bounds, world: World) -> World:
    """``ingest repair hot`` in one step, for a history that was not rewritten."""
    entry = world.entry
    marks = [*world.rows, *([entry.done] if entry else [])]
    marks += [entry.pending.last] if entry and entry.pending else []
    upto = max((mark.sequence for mark in marks), default=0)
    rows = {
        Mark(0, sequence, world.stream[sequence - 1])
        for sequence in range(1, upto + 1)
        if world.stream[sequence - 1] not in bounds.refused
    }
    have = tuple(sorted({*world.rows, *rows}))
    done = Mark(0, upto, world.stream[upto - 1] if upto else 0)
    return world._replace(
        rows=have,
        orphans=(),
        entry=Entry(done, nearest_row(have, upto), ()),
        writers=(OFF,) * len(world.writers),
        damaged=0,
    )
