"""What a writer asks of a lane reader, whatever client is behind it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ingest.messages import Messages
from ingest.ranges import SequenceRange

OnLoss = Callable[[SequenceRange], Awaitable[None]]
"""Told of unread messages that retention removed; raises DataLostError unless that is accepted."""


class ReaderInterruptedError(Exception):
    """The flow of messages was interrupted; open again at the position, after a history check.

    Not an error of the pipeline: a restart of the server, a lost frame, a deleted consumer.
    """


@dataclass(frozen=True, slots=True)
class ReadLimit:
    """How much one read returns, and how long the oldest message may wait for more.

    With ``many`` messages waiting it waits no longer than ``many_age_s``.
    """

    messages: int
    bytes: int
    max_age_s: float
    many: int = sys.maxsize
    many_age_s: float = 0.0

    def longest_wait_s(self, waiting: int) -> float:
        """How long the oldest of so many messages may wait for more, in seconds."""
        return min(self.max_age_s, self.many_age_s) if waiting >= self.many else self.max_age_s


class LaneReader(Protocol):
    """Reads one lane in stream order from a position; nothing is acknowledged."""

    @property
    def position(self) -> int:
        """The sequence that the next read starts with."""

    @property
    def buffered_bytes(self) -> int:
        """Payload bytes received and not yet returned by a read."""

    async def open(self, position: int) -> None:
        """Starts at ``position``; what an earlier opening still delivers is dropped.

        Raises StreamUnavailableError, StreamConfigError, and what ``on_loss`` raises.
        """

    async def read(self, limit: ReadLimit, wait_s: float) -> Messages | None:
        """The next messages, in order and without a gap but for holes of the stream.

        Returns as soon as ``limit`` is reached or the oldest message has waited as long as
        ``limit`` says; None when nothing came within ``wait_s`` or when the reader is
        draining and has nothing left. Raises ReaderInterruptedError, and what ``on_loss`` raises.
        """

    def drain(self) -> None:
        """Asks the server for no more; reads go on with what has been received."""

    async def close(self) -> None:
        """Ends the opening and removes its consumer; harmless when there is none."""

    async def delete_predecessors(self) -> None:
        """Removes the consumers that earlier writers of this role left on the lane.

        A writer that still reads through one of them sees its pulls end.
        """
