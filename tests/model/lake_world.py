"""What happens to the lake path from outside, and the hot path that reads beside it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.lake_state import OFF, Bounds, Rules, World, spent, stop, text
from tests.model.lake_table import committed, expired, optimized, repaired, rolled_back
from tests.model.marks import Mark, contradicted, epoch_of, named, parting
from tests.model.search import Step

STOPPED = ("off", "halted")


def around(rules: Rules, bounds: Bounds, world: World) -> Iterator[Step[World]]:
    """Every step that no writer takes."""
    left = world.left
    for sent in world.orphans:
        rest = tuple(one for one in world.orphans if one != sent)
        after = committed(rules, bounds, world, sent)
        if after is not None:
            yield (
                (-1, "the commit of {} that was on its way lands", text(sent.messages)),
                (after._replace(orphans=rest)),
            )
    if left.crashes:
        for who, writer in enumerate(world.writers):
            if writer.at not in STOPPED:
                sent_one = writer.attempt and writer.attempt.at == "sent"
                said = " with its commit on the way" if sent_one else ""
                yield (who, "is killed" + said), stop(spent(world, "crashes"), who)
    if left.rewrites:
        yield from _rewrites(world)
    if len(world.stream) < bounds.messages:
        after = world._replace(stream=(*world.stream, world.next), next=world.next + 1)
        yield (-1, "a new message takes sequence {}", len(world.stream) + 1), after
    if bounds.with_hot:
        yield from _hot(bounds, world)
    yield from _maintenance(rules, bounds, world)


def _rewrites(world: World) -> Iterator[Step[World]]:
    """The stream loses its tail; every connection to the server is lost with it."""
    writers = tuple(
        one if one.at in (*STOPPED, "fence", "load", "open") else one._replace(lost=1)
        for one in world.writers
    )
    fewer = spent(world, "rewrites")._replace(
        writers=writers, hot_lost=1 if world.hot.sequence or world.hot_hand else 0
    )
    for kept in range(len(world.stream)):
        yield (
            (-1, "the stream loses everything after {}", kept),
            fewer._replace(stream=world.stream[:kept]),
        )


def _hot(bounds: Bounds, world: World) -> Iterator[Step[World]]:
    """The hot path: reads, records and stores; follows a rewrite in one step."""
    mark, hand = world.hot, world.hot_hand
    if hand:
        yield (
            (-1, "the hot path records and stores {}", hand.sequence),
            world._replace(hot=hand, hot_hand=(), hot_rows=tuple(sorted({*world.hot_rows, hand}))),
        )
    elif world.hot_lost:
        yield from _hot_opens(world)
    elif mark.sequence < len(world.stream):
        sequence = mark.sequence + 1
        epoch = epoch_of(world.epochs, sequence)
        read = Mark(epoch, sequence, world.stream[sequence - 1])
        if bounds.in_hand:
            yield (-1, "the hot path reads {}", sequence), world._replace(hot_hand=read)
        else:
            yield (
                (-1, "the hot path reads, records and stores {}", sequence),
                world._replace(hot=read, hot_rows=tuple(sorted({*world.hot_rows, read}))),
            )


def _hot_opens(world: World) -> Iterator[Step[World]]:
    mark = world.hot
    gone = contradicted(world.stream, [mark])
    if not gone:
        yield (-1, "the hot path opens again"), world._replace(hot_lost=0)
        return
    part = parting(world.stream, world.epochs, mark.epoch, world.hot_rows, gone, by_rows=True)
    epochs = named(world.stream, world.epochs, mark.epoch, part)
    if epochs is None:
        return
    stored = world.stream[part.agreed - 1] if part.agreed else 0
    said = "adopts" if epochs == world.epochs else "registers"
    yield (
        (-1, "the hot path {} a new history from {}", said, epochs[-1][1]),
        world._replace(hot=Mark(epochs[-1][0], part.agreed, stored), hot_lost=0, epochs=epochs),
    )


def _maintenance(rules: Rules, bounds: Bounds, world: World) -> Iterator[Step[World]]:
    """Compactions, expiry, and tables put back to an earlier state."""
    left, table = world.left, world.table
    if left.optimizes and table.rows:
        yield (-1, "a compaction makes a snapshot of its own"), optimized(spent(world, "optimizes"))
    if left.expires and table.rows:
        yield (
            (-1, "all snapshots but the current one expire"),
            spent(world, "expires")._replace(table=expired(rules, table)),
        )
    if left.backups and not world.backup and table.snapshot:
        yield (-1, "the table's state is noted"), spent(world, "backups")._replace(backup=table)
    if world.backup and world.backup.snapshot != table.snapshot:
        listed = any(number == world.backup.snapshot for number, _ in table.listed)
        if left.rollbacks and listed:
            yield (
                (-1, "the table is rolled back to that snapshot"),
                spent(world, "rollbacks")._replace(
                    table=rolled_back(table, world.backup), damaged=1
                ),
            )
        if left.restores:
            yield (
                (-1, "the catalog is restored to that state"),
                spent(world, "restores")._replace(table=world.backup),
            )
    stopped = all(one.at in STOPPED for one in world.writers)
    if stopped and world.damaged and any(one.at == "halted" for one in world.writers):
        after = repaired(bounds, world)
        yield (
            (-1, "`ingest repair lake` is run"),
            after._replace(writers=(OFF,) * len(world.writers)),
        )
