"""The window: messages that were sent and are not yet acknowledged, and their frames on the wire.

Bookkeeping is done for many messages at once, since at 50,000 messages/s each call per message
shows. Numbers count a run's messages from 1; the answer's subject and the message id carry them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

from simulator.manifest import ManifestBuilder
from simulator.readings import Message

MAX_RETRIES = 256


class Ack(NamedTuple):
    """One acknowledgement; digits as they came, ``duplicate`` empty when the message was new."""

    number: bytes
    stream: bytes
    sequence: bytes
    duplicate: bytes


class Sent(NamedTuple):
    """What the messages of one write share.

    ``floors``: they can only be stored beyond this sequence of a stream; 0 where none is given.
    ``first`` and ``last``: when they were sent, monotonic seconds.
    """

    floors: Mapping[str, int]
    first: float
    last: float


class Window:
    """Unacknowledged messages in the order of their last sending."""

    def __init__(self, builder: ManifestBuilder, *, message_ids: bool) -> None:
        self.numbered = 0
        self.high: dict[str, int] = {}
        self.progress = 0.0
        self._builder = builder
        self._message_ids = message_ids
        self._pending: dict[int, tuple[Message, Sent]] = {}
        self._retry: set[int] = set()
        self._never_stored: set[int] = set()

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
        sent = Sent(dict(self.high), now, now)
        first = self.numbered + 1
        self.numbered += len(messages)
        numbered = list(enumerate(messages, first))
        self._pending.update({number: (message, sent) for number, message in numbered})
        return self._frames(numbered, inbox)

    def again(
        self, numbers: Iterable[int], inbox: str, now: float, floors: Mapping[str, int] | None
    ) -> bytes:
        """Frames of those of ``numbers`` that are still pending.

        ``floors``: up to which sequences each stream was found to hold none of them.
        """
        numbered = []
        for number in numbers:
            entry = self._pending.pop(number, None)
            if entry is not None:
                message, sent = entry
                first = now if number in self._never_stored else sent.first
                known = sent.floors if floors is None else floors
                self._pending[number] = message, Sent(known, first, now)
                numbered.append((number, message))
        self._retry.difference_update(numbers)
        self._never_stored.difference_update(numbers)
        self._builder.resent += len(numbered)
        return self._frames(numbered, inbox)

    def settle(self, acks: Sequence[Ack], now: float) -> None:
        """Takes acknowledged messages out; answers to messages settled before change nothing."""
        # By columns: at 50,000 messages/s whatever is done for each one shows.
        numbers = [int(ack[0]) for ack in acks]
        entries = list(map(self._pending.pop, numbers, repeat(None)))
        messages = [entry[0] for entry in entries if entry]
        if not messages:
            return
        if len(messages) < len(acks):
            acks = [ack for ack, entry in zip(acks, entries, strict=True) if entry]
        _, names, sequences, duplicates = zip(*acks, strict=True)
        self.progress = now
        by_stream = _by_stream(names, sequences)
        for stream, stored in by_stream.items():
            self.high[stream] = max(self.high.get(stream, 0), *stored)
        again = len(duplicates) - duplicates.count(b"")
        self._builder.acknowledge(messages, by_stream, again)

    def refuse(self, number: int) -> Message | None:
        """Takes a message out that will never be stored; None when it is settled already."""
        entry = self._pending.pop(number, None)
        if entry is None:
            return None
        self._builder.refused += 1
        return entry[0]

    def retry(self, number: int, *, stored: bool) -> None:
        """Marks a message to be sent again soon; ``stored``: this try of it may be stored."""
        entry = self._pending.get(number)
        if entry is None:
            return
        self._retry.add(number)
        first_try = entry[1].first == entry[1].last
        if first_try and not stored:
            self._never_stored.add(number)

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

    def doubtful(self, numbers: Iterable[int], before: float) -> list[Sent]:
        """What was sent of ``numbers`` first before ``before`` and may be stored for all we know.

        One entry for each write that has such a message.
        """
        found: dict[int, Sent] = {}
        for number in numbers:
            entry = self._pending.get(number)
            if entry is not None and entry[1].first < before and number not in self._never_stored:
                found[id(entry[1])] = entry[1]
        return list(found.values())

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


def _by_stream(names: Sequence[bytes], sequences: Sequence[bytes]) -> dict[str, list[int]]:
    """The sequences of each stream; most often there is one."""
    numbers = list(map(int, sequences))
    if names.count(names[0]) == len(names):
        return {names[0].decode(): numbers}
    found: defaultdict[bytes, list[int]] = defaultdict(list)
    for name, number in zip(names, numbers, strict=True):
        found[name].append(number)
    return {name.decode(): stored for name, stored in found.items()}
