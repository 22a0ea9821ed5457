"""What both models are made of: messages, marks, the registry of histories, and the stream.

A message is a number that also stands for its timestamp: it only grows and never comes again. An
epoch is named by the number of its first message (0: the first history), as the product names it by
that message's sequence and timestamp. "None" is an empty tuple, so that states can be ordered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Stream = tuple[int, ...]
"""The message of each sequence, from 1 on."""

Epochs = tuple[tuple[int, int], ...]
"""The registry: each history's name and its first sequence."""

FIRST_EPOCHS: Epochs = ((0, 1),)


class Mark(NamedTuple):
    """A message that was read, or a row: known by epoch, sequence and message."""

    epoch: int
    sequence: int
    message: int


NOWHERE = Mark(0, 0, 0)
Maybe = Mark | tuple[()]


def contradicted(stream: Stream, marks: list[Mark]) -> Maybe:
    """The lowest mark that the stream does not hold any more (``ingest.history.compare``)."""
    for mark in sorted(marks, key=lambda one: one.sequence):
        if (
            mark.sequence
            and mark.message
            and (mark.sequence > len(stream) or stream[mark.sequence - 1] != mark.message)
        ):
            return mark
    return ()


def epoch_of(epochs: Epochs, sequence: int) -> int:
    """The history of a message read now (``ingest.registry.Registry.epoch_of``)."""
    for name, first in reversed(epochs):
        if first <= sequence:
            return name
    return epochs[0][0]


def newest_row(rows: tuple[Mark, ...], sequence: int, epoch: int) -> Maybe:
    """The row of one epoch with the largest sequence up to ``sequence``."""
    best: Maybe = ()
    for row in rows:
        if row.epoch == epoch and row.sequence <= sequence and (not best or row > best):
            best = row
    return best


def nearest_row(rows: tuple[Mark, ...], sequence: int) -> Maybe:
    """The row of any epoch with the largest sequence up to ``sequence``, the newest of those."""
    below = [row for row in rows if row.sequence <= sequence]
    return max(below, key=lambda row: (row.sequence, row.message), default=())


class Parting(NamedTuple):
    """Where histories part: ``agreed`` is the last row that the stream holds."""

    agreed: int
    differs: int
    first: int


def parting(
    stream: Stream, epochs: Epochs, known: int, rows: tuple[Mark, ...], gone: Mark, *, by_rows: bool
) -> Parting:
    """As ``ingest.history.follow`` finds it; not ``by_rows``: only what is contradicted is new."""
    if not by_rows:
        return Parting(gone.sequence - 1, gone.sequence, gone.sequence)
    last = next(number for number, (name, _) in enumerate(epochs) if name == known)
    agreed, differs = _bounds(stream, _rows_in_force(epochs[: last + 1], rows), gone.sequence)
    return Parting(agreed, differs, _first_after(stream, agreed, differs, gone))


def _rows_in_force(epochs: Epochs, rows: tuple[Mark, ...]) -> Callable[[int], Maybe]:
    def row_in_force(sequence: int) -> Maybe:
        for name, first in reversed(epochs):
            if first <= sequence:
                row = newest_row(rows, sequence, name)
                if row and row.sequence >= first:
                    return row
                sequence = first - 1
        return ()

    return row_in_force


def _bounds(stream: Stream, row_at: Callable[[int], Maybe], upto: int) -> tuple[int, int]:
    agreed = searched = 0
    differs = min(upto, len(stream)) + 1
    while searched + 1 < differs:
        middle = (searched + differs) // 2
        row = row_at(middle)
        if not row or row.sequence <= searched:
            searched = middle
        elif stream[row.sequence - 1] == row.message:
            agreed, searched = row.sequence, middle
        else:
            differs = row.sequence
    return agreed, differs


def _first_after(stream: Stream, agreed: int, differs: int, gone: Mark) -> int:
    low, high = agreed, max(differs, agreed + 1)
    while low + 1 < high:
        middle = (low + high) // 2
        if middle > len(stream) or stream[middle - 1] > gone.message:
            high = middle
        else:
            low = min(middle, high - 1)
    return high


def named(stream: Stream, epochs: Epochs, known: int, part: Parting) -> Epochs | None:
    """The registry once the new history has its name (``new_epoch``); None: it must be waited for.

    The newest epoch is adopted if its first message is still the stream's and it suits.
    """
    name, first = epochs[-1]
    suits = name != known and first <= part.differs
    if suits and first <= len(stream) and stream[first - 1] == name:
        return epochs
    if part.first > len(stream):
        return None
    message = stream[part.first - 1]
    return epochs if message == name else (*epochs, (message, part.first))
