"""Replay and purge of refused messages, once per entry whatever crashes between.

Both change an entry by compare-and-set on its subject in the dead-letter stream; the new message
rolls up the old one, so a subject has one message. A replay takes three steps:

1. *begin*: the entry becomes "replaying" and notes the lane's last sequence.
2. *publish*: the original bytes go to the original subject under an id that the entry alone has,
   and only if the last message of that subject is still the one that was looked at before. Two
   replayers, one of them asleep for hours, thus cannot both publish: the second one's look is
   stale, it looks again and finds the message.
3. *finish*: the tombstone, with the sequence that the message got.

A replay that stopped after the first step goes on with a look for the message above the noted
sequence. That look proves nothing when retention has removed messages from there, or when the lane
was made anew; the entry then stays as it is (`ReplayUnprovenError`) until a person decides.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

import structlog
from nats.errors import NoRespondersError

from ingest.dlq import (
    EXPECTED_LAST_SUBJECT_SEQUENCE,
    FULL,
    HEADER_DETAIL,
    HEADER_REASON,
    HEADER_STATE,
    HEADER_SUBJECT,
    HEADER_VERSION,
    STREAM,
)
from ingest.dlq_read import (
    HEADER_ATTEMPT,
    HEADER_REPLAY_AFTER,
    HEADER_REPLAYED_AS,
    Entry,
    EntryState,
    latest,
)
from ingest.dlq_room import Room
from ingest.errors import (
    IngestError,
    StreamConfigError,
    StreamUnavailableError,
)
from ingest.nats_link import NatsLink
from ingest.stream_info import stream_state
from ingest.stream_scan import last_on, scan

log = structlog.get_logger(__name__)

WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
MESSAGE_ID = "Nats-Msg-Id"
TRIES = 100


class EntryChangedError(IngestError):
    """Somebody else replayed or purged the entry meanwhile."""


class ReplayUnprovenError(IngestError):
    """A replay was begun before, and whether its message was published can no longer be told."""


class Replayer:
    """Changes entries of one lane; ``room`` is asked when the dead-letter stream is full.

    ``inlet`` is what a subject gets in front so that its message goes to this of several lanes.
    """

    def __init__(self, link: NatsLink, lane: str, room: Room, inlet: str = "") -> None:
        self._link = link
        self._lane = lane
        self._room = room
        self._inlet = inlet

    async def replay(self, entry: Entry) -> Entry:
        """The entry as replayed: its message is in the lane exactly once more.

        ``entry`` needs its payload. An entry already replayed is returned as it is. Raises
        EntryChangedError, ReplayUnprovenError, StreamConfigError, StreamUnavailableError;
        after each of them the call may be repeated.
        """
        if entry.state is EntryState.REPLAYED:
            return entry
        begun = await self.begin(entry) if entry.state is EntryState.REFUSED else entry
        return await self.finish(begun, await self.publish(begun))

    async def begin(self, entry: Entry) -> Entry:
        """Marks a refused entry as being replayed."""
        _require(entry, EntryState.REFUSED)
        state = await stream_state(self._link, self._lane)
        begun = replace(entry, state=EntryState.REPLAYING, replay_after=state.last_seq)
        return await self._change(begun)

    async def publish(self, entry: Entry) -> int:
        """The sequence of the entry's message in the lane, published now or found there."""
        _require(entry, EntryState.REPLAYING)
        for _ in range(TRIES):
            last = await last_on(self._link, self._lane, entry.subject)
            expected = last.sequence if last else 0
            there = await self._published(entry, expected)
            if there is not None:
                return there
            try:
                answer = await self._publish_if_last(entry, expected)
            except StreamUnavailableError as error:
                log.debug("replay_without_answer", entry=entry.key, problem=str(error))
                await self._link.wait_connected()
                continue
            if answer is not None:
                return answer
        raise StreamUnavailableError(
            f"subject {entry.subject} changes faster than sequence {entry.sequence} can be put"
            " behind its last message; replay again when it is calmer"
        )

    async def finish(self, entry: Entry, sequence: int) -> Entry:
        """Leaves the tombstone that says under which sequence the message is now."""
        _require(entry, EntryState.REPLAYING)
        done = replace(entry, state=EntryState.REPLAYED, replayed_as=sequence, payload=b"", size=0)
        return await self._change(done)

    async def purge(self, entry: Entry, *, unproven: bool) -> Entry:
        """Drops an entry's payload and leaves a tombstone.

        ``unproven`` also purges an entry whose replay was begun and never finished.
        """
        if entry.state is EntryState.REPLAYING and not unproven:
            raise EntryChangedError(
                f"sequence {entry.sequence}: a replay was begun and not finished; go on with"
                f" `ingest dlq replay {entry.sequence}`, or purge it with --unproven"
            )
        if not entry.state.is_open:
            return entry
        return await self._change(replace(entry, state=EntryState.PURGED, payload=b"", size=0))

    async def _published(self, entry: Entry, last: int) -> int | None:
        """Sequence of the entry's message between the begin of the replay and ``last``."""
        after = entry.replay_after or 0
        state = await stream_state(self._link, self._lane)
        if state.last_seq < after or state.first_seq > after + 1:
            raise ReplayUnprovenError(
                f"sequence {entry.sequence}: a replay was begun at {after} of {self._lane}, which"
                f" now holds {state.first_seq} to {state.last_seq}, so whether it was published"
                " cannot be told; `ingest dlq purge --unproven` settles it without publishing"
            )
        if last <= after:
            return None
        async for message in scan(
            self._link, self._lane, entry.subject, start_seq=after + 1, headers_only=True
        ):
            if (message.headers or {}).get(MESSAGE_ID) == entry.key:
                return int(message.metadata.sequence.stream)
        return None

    async def _publish_if_last(self, entry: Entry, expected: int) -> int | None:
        """Publishes the message; None when its subject has another last message by now."""
        assert entry.payload is not None
        headers = {
            MESSAGE_ID: entry.key,
            "Nats-Expected-Stream": self._lane,
            EXPECTED_LAST_SUBJECT_SEQUENCE: str(expected),
        }
        answer = await self._request(self._inlet + entry.subject, entry.payload, headers)
        error = answer.get("error")
        if error is None:
            return int(answer["seq"])
        if error.get("err_code") in WRONG_LAST_SEQUENCE:
            return None
        raise StreamConfigError(
            f"stream {self._lane} refuses the message of sequence {entry.sequence} on"
            f" {entry.subject}: {error.get('description')}"
        )

    async def _change(self, entry: Entry) -> Entry:
        """Replaces the entry's message; ``entry.revision`` is the one that it replaces."""
        attempt = secrets.token_hex(8)
        while True:
            try:
                answer = await self._request(
                    entry.key, entry.payload or b"", _headers(entry, attempt)
                )
            except StreamUnavailableError as error:
                log.debug("entry_change_without_answer", entry=entry.key, problem=str(error))
                await self._link.wait_connected()
                continue
            refusal = answer.get("error")
            if refusal is None:
                return replace(entry, revision=int(answer["seq"]))
            if refusal.get("err_code") in WRONG_LAST_SEQUENCE:
                return await self._changed_before(entry, attempt)
            if refusal.get("err_code") in FULL:
                await self._room.make(len(entry.payload or b""))
                continue
            raise StreamConfigError(f"stream {STREAM} refuses: {refusal.get('description')}")

    async def _changed_before(self, entry: Entry, attempt: str) -> Entry:
        """Our own change without an answer, or somebody else's."""
        last = await last_on(self._link, STREAM, entry.key)
        if last is not None and last.headers.get(HEADER_ATTEMPT) == attempt:
            return replace(entry, revision=last.sequence)
        now = await latest(self._link, entry.key)
        raise EntryChangedError(
            f"sequence {entry.sequence} was changed meanwhile and is"
            f" {now.state if now else 'gone'} now"
        )

    async def _request(
        self, subject: str, payload: bytes, headers: dict[str, str]
    ) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            timeout_s = self._link.request_timeout_s
            reply = await self._link.client.request(subject, payload, timeout_s, headers=headers)
            answer: dict[str, Any] = json.loads(reply.data)
            return answer

        try:
            return await self._link.available(ask)
        except StreamUnavailableError as error:
            if isinstance(error.__cause__, NoRespondersError):
                raise StreamConfigError(f"no stream takes messages on {subject}") from error
            raise


def _headers(entry: Entry, attempt: str) -> dict[str, str]:
    headers = {
        EXPECTED_LAST_SUBJECT_SEQUENCE: str(entry.revision),
        "Nats-Rollup": "sub",
        HEADER_STATE: str(entry.state),
        HEADER_ATTEMPT: attempt,
        HEADER_REASON: entry.reason,
        HEADER_DETAIL: entry.detail,
        HEADER_SUBJECT: entry.subject,
        HEADER_VERSION: str(entry.version),
    }
    if entry.replay_after is not None:
        headers[HEADER_REPLAY_AFTER] = str(entry.replay_after)
    if entry.replayed_as is not None:
        headers[HEADER_REPLAYED_AS] = str(entry.replayed_as)
    return headers


def _require(entry: Entry, state: EntryState) -> None:
    if entry.state is not state:
        raise EntryChangedError(f"sequence {entry.sequence} is {entry.state}, expected {state}")
