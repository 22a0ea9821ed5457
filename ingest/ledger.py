"""The ledger: what each closed range held when it was proven, kept when the data has aged out.

One stream, one subject a lane. Entries are appended by compare-and-set on the subject's last
sequence and form a chain: within an epoch each starts where the one before ended. Nothing is ever
changed or removed.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from nats.js.errors import APIError, NotFoundError

from ingest.errors import RecordInvalidError, StreamConfigError, StreamUnavailableError
from ingest.nats_link import NatsLink
from ingest.ranges import SequenceRange
from ingest.settings import Settings

log = structlog.get_logger(__name__)

FORMAT = 1
STREAM = "LEDGER"
SUBJECT_PREFIX = "ledger"
JS_NO_MESSAGE_FOUND = 10037
JS_WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
MAX_BYTES = 256 << 20
EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"


class LedgerConflictError(Exception):
    """Another run appended to the lane's ledger since it was read."""


class SinkSum(msgspec.Struct, frozen=True):
    """What one sink held of a range that could not be proven; ``fingerprint`` 16 hex digits."""

    rows: int
    fingerprint: str


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One closed range.

    ``fingerprint`` is the sum modulo 2^64 of the row hashes under contract ``version``, 16 hex
    digits; ``refused_fingerprint`` the same over ``<seq>.<stored_at in ns>`` of refused messages.
    ``unproven`` says why the stream could not vouch for the range; ``sinks`` is then what each of
    them held. ``losses`` are ranges that retention removed unread, with the path that missed them.
    Times are microseconds since the Unix epoch.
    """

    format: int
    lane: str
    epoch: str
    version: int
    first: int
    last: int
    messages: int
    holes: int
    refused: int
    rows: int
    fingerprint: str
    refused_fingerprint: str
    first_stored_at_us: int
    last_stored_at_us: int
    compared: tuple[str, ...]
    proven_at_us: int
    losses: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    sinks: dict[str, SinkSum] = {}

    @property
    def range(self) -> SequenceRange:
        """The sequences of the entry."""
        return SequenceRange(self.first, self.last)


@dataclass(frozen=True)
class Kept:
    """An entry and its sequence in the ledger's stream."""

    entry: LedgerEntry
    sequence: int


def ledger_stream_config(settings: Settings) -> dict[str, Any]:
    """Configuration of the ledger's stream: file, no age, a full one refuses new entries."""
    return {
        "name": STREAM,
        "subjects": [f"{SUBJECT_PREFIX}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": 0,
        "max_bytes": MAX_BYTES,
        "num_replicas": settings.stream.replicas,
        "deny_delete": True,
        "deny_purge": True,
    }


class Ledger:
    """The ledger of one lane."""

    def __init__(self, link: NatsLink, lane: str) -> None:
        self._link = link
        self._lane = lane
        self._subject = f"{SUBJECT_PREFIX}.{lane}"

    async def last(self) -> Kept | None:
        """The newest entry, or None. Raises StreamConfigError without the ledger's stream."""
        return await self._get({"last_by_subj": self._subject})

    async def entries(self) -> list[LedgerEntry]:
        """Every entry, oldest first. Raises RecordInvalidError when the chain is broken."""
        found: list[LedgerEntry] = []
        sequence = 1
        while (
            kept := await self._get({"seq": sequence, "next_by_subj": self._subject})
        ) is not None:
            if found:
                _require_chained(found[-1], kept.entry)
            found.append(kept.entry)
            sequence = kept.sequence + 1
        return found

    async def append(self, entry: LedgerEntry, after: Kept | None) -> Kept:
        """Adds the entry that follows ``after``; on return it is stored.

        Raises LedgerConflictError when another run was faster, RecordInvalidError when the entry
        does not continue the chain.
        """
        if after is not None:
            _require_chained(after.entry, entry)
        payload = msgspec.json.encode(entry)
        headers = {EXPECTED_LAST_SUBJECT_SEQUENCE: str(after.sequence if after else 0)}
        while True:
            try:
                return Kept(entry, await self._publish(payload, headers))
            except StreamUnavailableError as error:
                log.warning("ledger_waiting", lane=self._lane, problem=str(error))
                await self._link.wait_connected()
                await asyncio.sleep(0.2)
            except APIError as error:
                if error.err_code not in JS_WRONG_LAST_SEQUENCE:
                    raise StreamConfigError(
                        f"the ledger stream {STREAM} refuses entries: {error.description}"
                    ) from error
                newest = await self.last()
                if newest is not None and newest.entry == entry:
                    return newest  # an earlier try had landed without an answer
                raise LedgerConflictError(self._subject) from error

    async def _publish(self, payload: bytes, headers: dict[str, str]) -> int:
        async def ask() -> int:
            reply = await self._link.client.request(
                self._subject, payload, timeout=self._link.request_timeout_s, headers=headers
            )
            answer = json.loads(reply.data)
            if "error" in answer:
                APIError.from_error(answer["error"])
            return int(answer["seq"])

        return await self._link.available(ask)

    async def _get(self, request: dict[str, Any]) -> Kept | None:
        try:
            answer = await self._link.api(f"STREAM.MSG.GET.{STREAM}", request)
        except APIError as error:
            if error.err_code == JS_NO_MESSAGE_FOUND:
                return None
            if isinstance(error, NotFoundError):
                raise StreamConfigError(
                    f"NATS has no stream {STREAM!r}; run `ingest init` first"
                ) from error
            raise
        found = answer["message"]
        return Kept(_decode(base64.b64decode(found["data"]), found["subject"]), int(found["seq"]))


def _require_chained(before: LedgerEntry, after: LedgerEntry) -> None:
    if before.epoch == after.epoch and after.first != before.last + 1:
        raise RecordInvalidError(
            f"the ledger of {after.lane} does not chain: {before.range} of epoch {before.epoch} is"
            f" followed by {after.range}"
        )


def _decode(value: bytes, subject: str) -> LedgerEntry:
    try:
        entry = msgspec.json.decode(value, type=LedgerEntry)
    except msgspec.DecodeError as error:
        raise RecordInvalidError(f"an entry of {subject} is not readable: {error}") from error
    if entry.format != FORMAT:
        raise RecordInvalidError(
            f"an entry of {subject} has format {entry.format}, this version reads {FORMAT};"
            " upgrade ingest"
        )
    return entry
