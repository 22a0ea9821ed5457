"""The lake path's model: which steps there are in a state, and what must hold in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.model import lake_commit, lake_writer
from tests.model.lake_form import tidied
from tests.model.lake_state import Bounds, Rules, World, first_world
from tests.model.lake_table import base_gone
from tests.model.lake_world import around
from tests.model.search import Step

Action = Callable[[Rules, Bounds, World, int], Iterator[Step[World]]]

PROGRAM: dict[str, Action] = {
    "off": lake_writer.start,
    "fence": lake_writer.fence,
    "load": lake_writer.load,
    "open": lake_writer.open_,
    "check": lake_writer.check,
    "finish": lake_writer.finish,
    "follow": lake_writer.follow,
    "name": lake_writer.name,
    "run": lake_writer.run,
}
"""Where a writer is in its program, and what it can do there."""


class LakeModel:
    """The protocol of docs/adr/0004 with the guards that are left."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._rules = rules
        self._bounds = bounds
        self._refused = frozenset(bounds.refused)
        self._overtaken = bounds.reduced and rules.fence
        restored = bounds.left.rollbacks or bounds.left.restores
        self._forgets = rules.requirement and rules.append and not restored

    def initial(self) -> World:
        """Everything is published, and nobody has started."""
        return first_world(self._bounds)

    def canonical(self, state: World) -> World:
        """Writers have no names; overtaken ones that can only stop are taken as stopped."""
        state = self._tidied(state)
        writers = tuple(sorted(state.writers))
        return state if writers == state.writers else state._replace(writers=writers)

    def order(self, state: World) -> list[int]:
        """Which writer of the state is which one of its canonical form."""
        return sorted(range(len(state.writers)), key=self._tidied(state).writers.__getitem__)

    def _tidied(self, state: World) -> World:
        if self._overtaken:
            state = lake_writer.without_overtaken(state)
        return tidied(state, stale=not self._forgets)

    def steps(self, state: World) -> Iterator[Step[World]]:
        """What each writer can do, what can become of its commit, and what the world can do."""
        rules, bounds = self._rules, self._bounds
        for who, writer in enumerate(state.writers):
            if writer.at != "halted" and writer not in state.writers[:who]:
                yield from PROGRAM[writer.at](rules, bounds, state, who)
                yield from lake_commit.task(rules, bounds, state, who)
        yield from around(rules, bounds, state)

    def broken(self, state: World) -> str:
        """The first promise that the state breaks."""
        rows = state.table.rows
        stored = {row.message for row in rows}
        if len(stored) < len(rows):
            return "doubled: a message is stored twice"
        if len({(row.epoch, row.sequence) for row in rows}) < len(rows):
            return "doubled: a sequence is stored twice under one epoch"
        if state.hot_rows:
            names = {row.message: row.epoch for row in state.hot_rows}
            if any(names.get(row.message, row.epoch) != row.epoch for row in rows):
                return "named: the paths file one message under two epochs"
        if not state.damaged:
            if any(writer.at == "halted" for writer in state.writers):
                return "halted: a repair is asked for though nothing was restored"
            if self._lacks(state, self._vouched(state)):
                return "lost: the watermark says done, the table has it not"
        if self._drained(state) and self._lacks(state, len(state.stream)):
            return "lost: all is read and committed, the table has it not"
        return ""

    def at_rest(self, state: World) -> bool:
        """Drained; or nothing is left to do but to wait for a new history's first message."""
        if state.damaged and any(writer.at == "halted" for writer in state.writers):
            return True
        if self._drained(state):
            return True
        waits = any(writer.at == "name" and writer.current for writer in state.writers)
        return waits and not self._lacks(state, len(state.stream))

    def _vouched(self, state: World) -> int:
        """The sequence up to which the watermark vouches for the stream as it is now."""
        mark = state.table.watermark
        if not mark or not 0 < mark.sequence <= len(state.stream):
            return 0
        return mark.sequence if state.stream[mark.sequence - 1] == mark.message else 0

    def _lacks(self, state: World, upto: int) -> bool:
        stored = {row.message for row in state.table.rows} | self._refused
        return any(message not in stored for message in state.stream[:upto])

    def _drained(self, state: World) -> bool:
        """A writer has read and committed everything, and the table is still as it left it.

        One that is idle notices only at its next commit or start that the table was put back.
        """
        return any(
            one.at == "run"
            and one.watermark == state.table.watermark
            and not one.lost
            and not one.spool
            and not one.attempt
            and one.position > len(state.stream)
            and not base_gone(state.table, one.base)
            for one in state.writers
        )
