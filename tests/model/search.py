"""Breadth-first search over the states of a model; the first violation found is a shortest one.

A visited state is kept as the 64-bit hash of its canonical form, and the number of its parent. With
n states the chance that two of them share a hash, so that one is passed over, is about n^2 / 2^65.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

State = TypeVar("State")

Label = tuple[object, ...]
"""Who acts (a writer's number, or -1 for the world), a text with {} for the values that follow."""

Step = tuple[Label, State]


class Model(Protocol[State]):
    """What the search needs to know of a protocol."""

    def initial(self) -> State:
        """The state before anything has happened."""

    def steps(self, state: State) -> Iterable[Step[State]]:
        """Everything that can happen next, in an order that is the same in every run."""

    def canonical(self, state: State) -> State:
        """The one state that stands for all that differ in the writers' names only."""

    def order(self, state: State) -> list[int]:
        """Which writer of the state is which one of its canonical form."""

    def broken(self, state: State) -> str:
        """The promise that the state breaks, or ''."""

    def at_rest(self, state: State) -> bool:
        """Whether the work is done, or a writer has stopped and has said why, rightly."""


@dataclass(frozen=True)
class Outcome:
    """What a search found; ``trace`` leads to the state that breaks the promise ``broken``."""

    states: int
    transitions: int
    depth: int
    seconds: float
    at_rest: int
    complete: bool
    broken: str = ""
    trace: list[Label] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every state was visited and none breaks a promise."""
        return self.complete and not self.broken


class Search(Generic[State]):
    """One search; ``at_most`` bounds the states, for what might have no end."""

    def __init__(self, model: Model[State], at_most: int = 1 << 30) -> None:
        self._model = model
        self._at_most = at_most
        self._numbers: dict[int, int] = {}
        self._parents = array("q")
        self._keys = array("q")

    def run(self) -> Outcome:
        """Visits every state, or all up to the first that breaks a promise."""
        begun = time.monotonic()
        model = self._model
        steps, canonical, broken = model.steps, model.canonical, model.broken
        numbers, parents = self._numbers, self._parents
        first = canonical(model.initial())
        self._add(hash(first), -1)
        layer = [(first, 0)]
        depth = transitions = at_rest = 0
        why, found, complete = broken(first), 0, True
        while layer and not why and complete:
            following: list[tuple[State, int]] = []
            for state, number in layer:
                at_rest += model.at_rest(state)
                for _, after in steps(state):
                    transitions += 1
                    form = canonical(after)
                    key = hash(form)
                    if key in numbers:
                        continue
                    found = len(parents)
                    self._add(key, number)
                    following.append((form, found))
                    why = broken(form)
                    if why:
                        break
                if why:
                    break
                if len(parents) > self._at_most:
                    complete = False
                    break
            depth += bool(following)
            layer = following
        return Outcome(
            states=len(parents),
            transitions=transitions,
            depth=depth,
            seconds=time.monotonic() - begun,
            at_rest=at_rest,
            complete=complete and not why,
            broken=why,
            trace=self._trace(found) if why else [],
        )

    def stuck(self) -> list[Label] | None:
        """After a run: the way to a state from which no rest can be reached, None without one.

        Every state is built once more, so this is for the smaller forms.
        """
        count = len(self._parents)
        before: list[list[int]] = [[] for _ in range(count)]
        alive = bytearray(count)
        reached: list[int] = []
        layer = [self._model.canonical(self._model.initial())]
        seen = bytearray(count)
        seen[0] = 1
        while layer:
            following: list[State] = []
            for state in layer:
                number = self._numbers[hash(state)]
                if self._model.at_rest(state):
                    alive[number] = 1
                    reached.append(number)
                for _, after in self._model.steps(state):
                    form = self._model.canonical(after)
                    there = self._numbers[hash(form)]
                    before[there].append(number)
                    if not seen[there]:
                        seen[there] = 1
                        following.append(form)
            layer = following
        while reached:
            for number in before[reached.pop()]:
                if not alive[number]:
                    alive[number] = 1
                    reached.append(number)
        dead = alive.find(0)
        return None if dead < 0 else self._trace(dead)

    def _add(self, key: int, parent: int) -> None:
        self._numbers[key] = len(self._parents)
        self._parents.append(parent)
        self._keys.append(key)

    def _trace(self, number: int) -> list[Label]:
        """The labels on the way to a state, with each writer under one name all the way."""
        keys: list[int] = []
        while number > 0:
            keys.append(self._keys[number])
            number = self._parents[number]
        state, labels = self._model.canonical(self._model.initial()), []
        names: dict[object, int] = {-1: -1, 0: 0, 1: 1}
        for key in reversed(keys):
            (who, *text), after = next(
                (label, after)
                for label, after in self._model.steps(state)
                if hash(self._model.canonical(after)) == key
            )
            labels.append((names[who], *text))
            order = self._model.order(after)
            before, names = names, {-1: -1}
            names.update((slot, before[was]) for slot, was in enumerate(order))
            state = self._model.canonical(after)
        return labels


def told(trace: list[Label]) -> list[str]:
    """The trace as sentences: writers are A and B in the order in which they act."""
    names: dict[object, str] = {}
    lines = []
    for who, text, *values in trace:
        if who != -1 and who not in names:
            names[who] = "AB"[len(names)]
        sentence = str(text).format(*values)
        lines.append(sentence if who == -1 else f"{names[who]} {sentence}")
    return lines
