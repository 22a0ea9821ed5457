"""The hot path's model: which steps there are in a state, and what must hold in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.model import hot_history, hot_store, hot_takeover
from tests.model.hot_entry import without_overtaken
from tests.model.hot_state import Bounds, Rules, World, first_world
from tests.model.hot_store import OVER
from tests.model.hot_world import around
from tests.model.search import Step

Action = Callable[[Rules, Bounds, World, int], Iterator[Step[World]]]

PROGRAM: dict[str, Action] = {
    "off": hot_takeover.start,
    "alarmed": hot_takeover.start,
    "make": hot_takeover.fence,
    "fence": hot_takeover.fence,
    "stock": hot_takeover.stock,
    "stock new": hot_takeover.stock,
    "settle": hot_takeover.settle,
    "absent": hot_takeover.absent,
    "late": hot_takeover.late,
    "found": hot_takeover.found,
    "compare": hot_takeover.compare,
    "rebuild": hot_takeover.rebuild,
    "settling": hot_store.settling,
    "open": hot_history.open_,
    "check": hot_history.check,
    "give up": hot_history.give_up,
    "given": hot_history.given,
    "gone": hot_history.gone_,
    "gone late": hot_history.gone_late,
    "follow": hot_history.follow,
    "name": hot_history.name,
    "back": hot_history.back,
    "run": hot_store.run,
    "letters": hot_store.letters,
}
"""Where a writer is in its program, and what it can do there."""


class HotModel:
    """The protocol of docs/adr/0003 with the guards that are left."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._rules = rules
        self._bounds = bounds
        self._refused = frozenset(bounds.refused)
        self._overtaken = (
            bounds.reduced and rules.fence and rules.confirm and rules.letter and not bounds.strict
        )

    def initial(self) -> World:
        """Everything is published, and nobody has started."""
        return first_world(self._bounds)

    def canonical(self, state: World) -> World:
        """Writers have no names, and overtaken ones that can only stop are taken as stopped."""
        if self._overtaken:
            state = without_overtaken(self._rules, state)
        writers = state.writers
        ordered = tuple(sorted(writers))
        return state if ordered == writers else state._replace(writers=ordered)

    def order(self, state: World) -> list[int]:
        """Which writer of the state is which one of its canonical form."""
        if self._overtaken:
            state = without_overtaken(self._rules, state)
        return sorted(range(len(state.writers)), key=state.writers.__getitem__)

    def steps(self, state: World) -> Iterator[Step[World]]:
        """What each writer can do, what can become of its insert, and what the world can do."""
        rules, bounds = self._rules, self._bounds
        for who, writer in enumerate(state.writers):
            if writer.at != "halted":
                if writer in state.writers[:who]:
                    continue
                yield from PROGRAM[writer.at](rules, bounds, state, who)
                yield from hot_store.task(rules, state, who)
        yield from around(rules, bounds, state)

    def broken(self, state: World) -> str:
        """The first promise that the state breaks."""
        messages = [row.message for row in state.rows]
        if len(set(messages)) < len(messages):
            return "doubled: a message is stored twice"
        if len({(row.epoch, row.sequence) for row in state.rows}) < len(messages):
            return "doubled: a sequence is stored twice under one epoch"
        if len(set(state.letters)) < len(state.letters):
            return "doubled: a refused message has two dead letters"
        if not state.damaged:
            if self._bounds.halts and any(one.at == "halted" for one in state.writers):
                return "halted: a repair is asked for though nothing was restored"
            if self._bounds.strict and any(one.at == "alarmed" for one in state.writers):
                return "alarmed: an overtaken writer asks for a repair"
            if state.entry and self._lacks(state, self._done(state)):
                return "lost: the record says done, the sink has it not"
        if self._drained(state) and self._lacks(state, len(state.stream)):
            return "lost: all is read and done, the sink has it not"
        return ""

    def at_rest(self, state: World) -> bool:
        """Drained; or nothing is left to do but to wait for a new history's first message."""
        rightly = state.damaged or not self._bounds.halts
        if rightly and any(writer.at == "halted" for writer in state.writers):
            return True
        if self._drained(state):
            return True
        waits = any(writer.at == "name" and writer.current for writer in state.writers)
        return waits and not self._lacks(state, len(state.stream))

    def _done(self, state: World) -> int:
        """The sequence up to which the entry vouches for the stream as it is now."""
        assert state.entry
        done = state.entry.done
        there = 0 < done.sequence <= len(state.stream)
        return done.sequence if there and state.stream[done.sequence - 1] == done.message else 0

    def _lacks(self, state: World, upto: int) -> bool:
        stored = {row.message for row in state.rows}
        return any(
            message not in (state.letters if message in self._refused else stored)
            for message in state.stream[:upto]
        )

    def _drained(self, state: World) -> bool:
        """A writer that the lane belongs to has read, stored and recorded everything."""
        return any(
            one.at == "run"
            and one.current
            and not one.lost
            and not one.held
            and one.fly in OVER
            and (one.entry.pending.last if one.entry.pending else one.entry.done).sequence
            >= len(state.stream)
            for one in state.writers
        )
