"""Dead letters: one for each refused message, whoever writes it and however often."""

from __future__ import annotations

from collections.abc import Iterable

from tests.model.hot_state import Bounds, Rules, World
from tests.model.marks import Mark


def with_letters(rules: Rules, bounds: Bounds, world: World, messages: Iterable[Mark]) -> World:
    """The world with the dead letters of those messages that are refused.

    The subject is made of sequence and timestamp, and takes one message only
    (``Nats-Expected-Last-Subject-Sequence: 0``).
    """
    new = [mark.message for mark in messages if mark.message in bounds.refused]
    if rules.once:
        new = [message for message in new if message not in world.letters]
    return world._replace(letters=tuple(sorted((*world.letters, *new)))) if new else world
