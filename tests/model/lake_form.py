"""The one form of all lake states that differ in numbers which nobody will ask for."""

from __future__ import annotations

from tests.model.lake_state import Table, World, Writer

GONE = 99
"""The commit id of every writer that has ended: nobody will look for it."""


def tidied(world: World, *, stale: bool) -> World:
    """The world with commit ids and snapshot numbers as small as they can be.

    ``stale``: a commit on its way whose base is not the current snapshot can still land.
    """
    wanted = {one.attempt.commit for one in world.writers if one.attempt}
    table = _renamed(world.table, wanted)
    orphans = {
        sent if sent.commit in wanted else sent._replace(commit=GONE)
        for sent in world.orphans
        if stale or sent.base == table.snapshot
    }
    world = world._replace(table=table, orphans=tuple(sorted(orphans)))
    left = world.left
    if left.backups or left.rollbacks or left.restores or world.backup:
        return world
    return _renumbered(world, wanted)


def _renamed(table: Table, wanted: set[int]) -> Table:
    def name(commit: int) -> int:
        return commit if not commit or commit in wanted else GONE

    return table._replace(
        commit=name(table.commit),
        line=tuple((number, name(commit)) for number, commit in table.line),
        listed=tuple((number, name(commit)) for number, commit in table.listed),
    )


def _renumbered(world: World, wanted: set[int]) -> World:
    table = world.table
    asked = {table.snapshot, *(sent.base for sent in world.orphans)}
    for one in world.writers:
        asked.add(one.base)
        if one.table:
            asked.add(one.table.snapshot)
        if one.attempt:
            asked.add(one.attempt.base)
    asked |= {number for number, commit in table.listed if commit in wanted}
    asked.add(0)
    numbers = {number: place for place, number in enumerate(sorted(asked))}
    return world._replace(
        snapshots=len(numbers) - 1,
        table=table._replace(
            snapshot=numbers[table.snapshot],
            line=tuple((numbers[one], commit) for one, commit in table.line if one in asked),
            listed=tuple((numbers[one], commit) for one, commit in table.listed if one in asked),
        ),
        orphans=tuple(sorted(sent._replace(base=numbers[sent.base]) for sent in world.orphans)),
        writers=tuple(_with_numbers(one, numbers) for one in world.writers),
    )


def _with_numbers(one: Writer, numbers: dict[int, int]) -> Writer:
    table, attempt = one.table, one.attempt
    return one._replace(
        base=numbers[one.base],
        table=table._replace(snapshot=numbers[table.snapshot]) if table else (),
        attempt=attempt._replace(base=numbers[attempt.base]) if attempt else (),
    )
