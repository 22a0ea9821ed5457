"""What the dead-letter queue holds: one entry per refused sequence, and what became of it.

An entry is the last message on its subject ``dlq.<lane>.<sequence>.<stored_at in ns>``. Its state
moves refused -> replaying -> replayed, or refused -> purged; a tombstone (replayed, purged) has no
payload any more and keeps reason and subject, so the count of refused messages never changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from nats.aio.msg import Msg

from ingest.dlq import (
    HEADER_DETAIL,
    HEADER_REASON,
    HEADER_STATE,
    HEADER_SUBJECT,
    HEADER_VERSION,
    STREAM,
    SUBJECT_PREFIX,
)
from ingest.errors import IngestError
from ingest.nats_link import NatsLink
from ingest.stream_info import stream_state
from ingest.stream_scan import last_on, scan

HEADER_REPLAYED_AS = "Ingest-Replayed-As"
HEADER_REPLAY_AFTER = "Ingest-Replay-After"
HEADER_ATTEMPT = "Ingest-Attempt"
FIRST_WINDOW = 2_000
WINDOW_GROWTH = 8


class EntryState(StrEnum):
    """What became of a refused message."""

    REFUSED = "refused"
    REPLAYING = "replaying"
    REPLAYED = "replayed"
    PURGED = "purged"

    @property
    def is_open(self) -> bool:
        """Whether the payload is still kept."""
        return self in (EntryState.REFUSED, EntryState.REPLAYING)


class NoSuchEntryError(IngestError):
    """The dead-letter queue holds no entry of that sequence."""


@dataclass(frozen=True)
class Entry:
    """One refused message.

    ``revision`` is the DLQ stream's sequence of the entry, which a change must name.
    ``stored_at_ns`` is the lane's timestamp of the refused message. ``size`` counts payload bytes;
    ``payload`` is None when only headers were read. ``replay_after`` is the lane's last sequence
    when a replay began, ``replayed_as`` the sequence that it got.
    """

    lane: str
    sequence: int
    stored_at_ns: int
    revision: int
    state: EntryState
    reason: str
    detail: str
    subject: str
    version: int
    size: int
    payload: bytes | None
    replay_after: int | None
    replayed_as: int | None

    @property
    def key(self) -> str:
        """The entry's own subject in the dead-letter stream."""
        return f"{SUBJECT_PREFIX}.{self.lane}.{self.sequence}.{self.stored_at_ns}"


Wanted = Callable[[Entry], bool]


async def newest_entries(link: NatsLink, lane: str, limit: int, wanted: Wanted) -> list[Entry]:
    """The newest ``limit`` entries that are wanted, without payloads, in stream order.

    Reads back from the end of the queue in growing windows. Raises StreamConfigError,
    StreamUnavailableError.
    """
    state = await stream_state(link, STREAM)
    window = max(FIRST_WINDOW, 2 * limit)
    while True:
        start = max(state.first_seq, state.last_seq - window + 1)
        found = [entry for entry in await _entries_from(link, lane, start) if wanted(entry)]
        if len(found) >= limit or start <= state.first_seq:
            return sorted(found[-limit:], key=lambda entry: entry.stored_at_ns)
        window *= WINDOW_GROWTH


async def all_entries(link: NatsLink, lane: str, wanted: Wanted) -> list[Entry]:
    """Every entry of the lane that is wanted, without payloads, in the order of refusal."""
    return [entry for entry in await _entries_from(link, lane, 1) if wanted(entry)]


async def entries_of(link: NatsLink, lane: str, sequence: int) -> list[Entry]:
    """Entries of one sequence with payloads: more than one only if the history was rewritten.

    Raises NoSuchEntryError.
    """
    found: dict[str, Entry] = {}
    subject = f"{SUBJECT_PREFIX}.{lane}.{sequence}.*"
    async for message in scan(link, STREAM, subject, start_seq=1, headers_only=False):
        found[message.subject] = entry_of(message)
    if not found:
        raise NoSuchEntryError(
            f"the dead-letter queue has no entry for sequence {sequence} of {lane};"
            " `ingest dlq list` shows what it holds"
        )
    return list(found.values())


async def latest(link: NatsLink, key: str) -> Entry | None:
    """The entry of a subject as it stands, with payload; None when there is none."""
    last = await last_on(link, STREAM, key)
    if last is None:
        return None
    return _entry(key, last.headers, last.sequence, payload=last.payload, size=len(last.payload))


async def reasons(link: NatsLink, lane: str, newest: int) -> tuple[Counter[str], bool]:
    """Open entries by reason among the ``newest`` messages, and whether those were all."""
    state = await stream_state(link, STREAM)
    start = max(state.first_seq, state.last_seq - newest + 1)
    entries = await _entries_from(link, lane, start)
    counted = Counter(entry.reason for entry in entries if entry.state.is_open)
    return counted, start <= state.first_seq


def entry_of(message: Msg) -> Entry:
    """The entry that a message of the dead-letter stream is."""
    headers = message.headers or {}
    told = headers.get("Nats-Msg-Size")
    payload = None if told is not None else message.data
    size = int(told) if told is not None else len(message.data)
    revision = message.metadata.sequence.stream
    return _entry(message.subject, headers, revision, payload=payload, size=size)


async def _entries_from(link: NatsLink, lane: str, start_seq: int) -> list[Entry]:
    found: dict[str, Entry] = {}
    subject = f"{SUBJECT_PREFIX}.{lane}.>"
    async for message in scan(link, STREAM, subject, start_seq=start_seq, headers_only=True):
        # A tombstone takes the place of its entry and comes later in the stream.
        found.pop(message.subject, None)
        found[message.subject] = entry_of(message)
    return list(found.values())


def _entry(
    key: str, headers: Mapping[str, str], revision: int, *, payload: bytes | None, size: int
) -> Entry:
    _, lane, sequence, stored_at_ns = key.split(".")
    return Entry(
        lane=lane,
        sequence=int(sequence),
        stored_at_ns=int(stored_at_ns),
        revision=revision,
        state=EntryState(headers.get(HEADER_STATE, EntryState.REFUSED)),
        reason=headers.get(HEADER_REASON, "unknown"),
        detail=headers.get(HEADER_DETAIL, ""),
        subject=headers.get(HEADER_SUBJECT, ""),
        version=int(headers.get(HEADER_VERSION, 0)),
        size=size,
        payload=payload,
        replay_after=_number(headers.get(HEADER_REPLAY_AFTER)),
        replayed_as=_number(headers.get(HEADER_REPLAYED_AS)),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
