"""Messages of an iterable, handed out when they are due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ingest.errors import IngestError
from simulator.readings import Message

WAIT_MIN_S = 0.001


class Source:
    """The messages in their order, one ahead.

    An IngestError of the iterable ends them; it is kept in ``error``.
    """

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages: Iterator[Message] = iter(messages)
        self.error: IngestError | None = None
        self._next = self._following()

    @property
    def exhausted(self) -> bool:
        """Whether every message has been taken and no error ended them."""
        return self._next is None and self.error is None

    @property
    def subject(self) -> str:
        """Subject of the next message, empty without one."""
        return self._next.subject if self._next else ""

    def take(self, most: int, elapsed_s: float) -> list[Message]:
        """At most ``most`` messages that are due ``elapsed_s`` after the start."""
        taken: list[Message] = []
        following = self._next
        while following is not None and len(taken) < most and following.due_s <= elapsed_s:
            taken.append(following)
            following = self._following()
        self._next = following
        return taken

    def wait_s(self, elapsed_s: float) -> float:
        """Seconds until the next message is due."""
        return max(WAIT_MIN_S, self._next.due_s - elapsed_s) if self._next else 0.0

    def _following(self) -> Message | None:
        try:
            return next(self._messages, None)
        except IngestError as error:
            self.error = error
            return None
