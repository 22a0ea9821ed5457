"""Open pull credit: the only flow control between the server and a reader."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count


class PullCredit:
    """How many messages the server may still send, kept below what the buffer can take.

    ``max_messages`` and ``max_bytes`` bound what is buffered and asked for together. At least two
    pulls are open while there is room, so that the server never waits for the next one.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._pull_messages = max(1, max_messages // 4)
        self._pull_bytes = max(1 << 20, max_bytes // 4)
        self._numbers = count(1)
        self._inbox = ""
        self._since_pull_ended = 0
        self.outstanding = 0

    def reset(self, inbox: str) -> None:
        """Forgets every open pull; later ones answer to ``<inbox>.<number>``."""
        self._inbox = inbox
        self._since_pull_ended = 0
        self.outstanding = 0

    def delivered(self, count: int) -> None:
        """Messages came."""
        self.outstanding = max(0, self.outstanding - count)
        self._since_pull_ended += count

    def ended(self, unused: int) -> None:
        """A pull ended with ``unused`` messages not sent.

        A pull that ends although nothing came was too small in bytes for the next message, so
        later ones ask for more.
        """
        self.outstanding = max(0, self.outstanding - unused)
        if self._since_pull_ended == 0 and unused:
            self._pull_bytes = min(self._pull_bytes * 2, 1 << 30)
        self._since_pull_ended = 0

    def grant(self, buffered: int, buffered_bytes: int) -> Iterator[tuple[str, int, int]]:
        """New pulls to open now: (inbox, messages, bytes) each."""
        if buffered_bytes >= self._max_bytes:
            return
        while self.outstanding + buffered + self._pull_messages <= self._max_messages:
            self.outstanding += self._pull_messages
            yield f"{self._inbox}.{next(self._numbers)}", self._pull_messages, self._pull_bytes
