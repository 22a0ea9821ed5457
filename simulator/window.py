"""The window: messages that were sent and are not yet acknowledged, and their frames on the wire.

Bookkeeping is done for many messages at once, since at 50,000 messages/s each call per message
shows. Numbers count a run's messages from 1; the answer's subject and the message id carry them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from simulator.manifest import ManifestBuilder
from simulator.readings import Message

MAX_RETRIES = 256


class Ack(NamedTuple):
    """One acknowledgement; digits as they came, ``duplicate`` empty when the message was new."""

    number: bytes
    sequence: bytes
    duplicate: bytes


class Sent(NamedTuple):
    """What the messages of one write share.

    ``floor``: they can only be stored beyond this stream sequence. Times are monotonic seconds.
    """

    floor: int
    first: float
    last: float


class Window:
    """Unacknowledged messages in the order of their last sending."""

    def __init__(self, builder: ManifestBuilder, *, message_ids: bool) -> None:
        self.numbered = 0
        self.high = 0
        self.progress = 0.0
        self._builder = builder
        self._message_ids = message_ids
        self._pending: dict[int, tuple[Message, Sent]] = {}
        self._retry: set[int] = set()

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def numbers(self) -> list[int]:
        """Numbers of the pending messages, longest waiting first."""
        return list(self._pending)

    @property
    def refused_for_now(self) -> bool:
        """Whether messages wait to be sent again because of a refusal that passes."""
        return bool(self._retry)

    def admit(self, messages: Sequence[Message], inbox: str, now: float) -> bytes:
        """Numbers the messages and returns their frames."""
        if not self._pending:
            self.progress = now
        sent = Sent(self.high, now, now)
        first = self.numbered + 1
        self.numbered += len(messages)
        numbered = list(enumerate(messages, first))
        self._pending.update({number: (message, sent) for number, message in numbered})
        return self._frames(numbered, inbox)

    def again(self, numbers: Iterable[int], inbox: str, now: float) -> bytes:
        """Frames of those of ``numbers`` that are still pending."""
        numbered = []
        for number in numbers:
            entry = self._pending.pop(number, None)
            if entry is not None:
                message, sent = entry
                self._pending[number] = message, sent._replace(last=now)
                numbered.append((number, message))
        self._retry.difference_update(numbers)
        self._builder.resent += len(numbered)
        return self._frames(numbered, inbox)

    def settle(self, acks: Iterable[Ack], now: float) -> None:
        """Takes acknowledged messages out; answers to messages settled before change nothing."""
        pop, settled, high = self._pending.pop, [], self.high
        for number, sequence, duplicate in acks:
            entry = pop(int(number), None)
            if entry is not None:
                at = int(sequence)
                if at > high:
                    high = at
                settled.append((entry[0], at, bool(duplicate)))
        if settled:
            self.high = high
            self.progress = now
            self._builder.acknowledge(settled)

    def refuse(self, number: int) -> Message | None:
        """Takes a message out that will never be stored; None when it is settled already."""
        entry = self._pending.pop(number, None)
        if entry is None:
            return None
        self._builder.refused += 1
        return entry[0]

    def retry(self, number: int) -> None:
        """Marks a message to be sent again soon."""
        if number in self._pending:
            self._retry.add(number)

    def overdue(self, before: float) -> list[int]:
        """Messages to send again: last sent before ``before``, and some of those refused for now.

        Not all of the latter at once: a server that had too many requests would refuse most again.
        """
        late = sorted(self._retry)[:MAX_RETRIES]
        for number, (_, sent) in self._pending.items():
            if sent.last >= before:
                break
            late.append(number)
        return list(dict.fromkeys(late))

    def floor_of_old(self, numbers: Iterable[int], before: float) -> int | None:
        """Smallest floor of the ``numbers`` first sent before ``before``; None without any."""
        entries = (self._pending.get(number) for number in numbers)
        floors = [e[1].floor for e in entries if e is not None and e[1].first < before]
        return min(floors, default=None)

    def first_pending(self) -> Message | None:
        """The message that waits longest."""
        return next((message for message, _ in self._pending.values()), None)

    def _frames(self, numbered: Sequence[tuple[int, Message]], inbox: str) -> bytes:
        reply = inbox.encode()
        if not self._message_ids:
            return b"".join(
                [
                    b"PUB %b %b.%d %d\r\n%b\r\n"
                    % (one.subject.encode(), reply, number, len(one.payload), one.payload)
                    for number, one in numbered
                ]
            )
        head = b"NATS/1.0\r\nNats-Msg-Id: %b-" % self._builder.origin.run_id.encode()
        frames = []
        for number, one in numbered:
            header = b"%b%d\r\n\r\n" % (head, number)
            size = len(header)
            frames.append(
                b"HPUB %b %b.%d %d %d\r\n%b%b\r\n"
                % (
                    one.subject.encode(),
                    reply,
                    number,
                    size,
                    size + len(one.payload),
                    header,
                    one.payload,
                )
            )
        return b"".join(frames)
