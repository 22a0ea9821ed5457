"""A mark: one message of a lane's history, known by epoch, sequence and JetStream timestamp."""

from __future__ import annotations

import msgspec


class Mark(msgspec.Struct, frozen=True):
    """``stored_at_us`` is JetStream's timestamp in microseconds since the Unix epoch.

    Sequence 0 stands for "before the first message"; it has no timestamp.
    """

    epoch: str
    sequence: int
    stored_at_us: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.sequence}:{self.stored_at_us}"


def parse_mark(text: str) -> Mark:
    """The mark of its text ``<epoch>:<sequence>:<stored_at_us>``; ValueError when it is none."""
    epoch, sequence, stored_at = text.split(":")
    return Mark(epoch, int(sequence), int(stored_at))
