"""The hot path's kept entry: how far ClickHouse is, and which insert may be under way.

A pending range is written before its insert is sent and leaves the entry only by moving to
``done``, so whoever takes over knows the one range whose fate it must look up.
"""

from __future__ import annotations

import msgspec

from ingest.batches import Batch
from ingest.errors import FencedError
from ingest.kept import Bucket, ConflictError, decode_record
from ingest.marks import Mark
from ingest.ranges import SequenceRange

FORMAT = 1


class Pending(msgspec.Struct, frozen=True):
    """One insert that may have been sent.

    ``last_mark`` is the last message of the range, ``last_row`` the last one that has a row,
    ``salt`` counts tokens that outlived their rows.
    """

    first: int
    last_mark: Mark
    last_row: Mark
    version: int
    rows: int
    salt: int = 0

    @property
    def range(self) -> SequenceRange:
        """The sequences of the insert."""
        return SequenceRange(self.first, self.last_mark.sequence)

    def token(self, lane: str) -> str:
        """ClickHouse's insert_deduplication_token."""
        salt = f"#{self.salt}" if self.salt else ""
        return f"{lane}:{self.last_mark.epoch}:{self.range.first}-{self.range.last}{salt}"


def pending_of(batch: Batch) -> Pending:
    """The insert of a batch that has rows."""
    assert batch.last_row is not None
    return Pending(
        first=batch.covered.first,
        last_mark=batch.last,
        last_row=batch.last_row,
        version=batch.version,
        rows=batch.rows.num_rows,
    )


class HotEntry(msgspec.Struct, frozen=True):
    """What is kept under ``hot.<lane>``; ``row`` is the newest row at or below ``done``."""

    format: int
    done: Mark
    row: Mark | None
    pending: Pending | None
    writer: str
    fence: int


def marks_of(entry: HotEntry) -> list[Mark]:
    """The messages that the entry says were read."""
    return [entry.done, *([entry.pending.last_mark] if entry.pending else [])]


class EntryStore:
    """Reads and moves the entry of one lane on behalf of one writer."""

    def __init__(self, bucket: Bucket, lane: str, writer: str) -> None:
        self._bucket = bucket
        self._lane = lane
        self._key = f"hot.{lane}"
        self._writer = writer
        self._revision = 0
        self._entry: HotEntry | None = None

    @property
    def entry(self) -> HotEntry:
        """The entry as this writer wrote it last."""
        assert self._entry is not None
        return self._entry

    async def peek(self) -> HotEntry | None:
        """The entry as it stands, whoever wrote it; None when there is none."""
        return await peek_entry(self._bucket, self._lane)

    async def take_over(self, start: Mark) -> HotEntry:
        """Becomes the lane's writer: changes writer and fence only, or makes the first entry.

        Raises FencedError when another writer does the same at this moment.
        """
        kept = await self._bucket.read(self._key)
        if kept is None:
            self._revision = 0
            return await self.move(HotEntry(FORMAT, start, None, None, self._writer, 1))
        found = _decode(kept.value, self._key)
        self._revision = kept.revision
        return await self.move(
            msgspec.structs.replace(found, writer=self._writer, fence=found.fence + 1)
        )

    async def move(self, entry: HotEntry) -> HotEntry:
        """Writes the next entry; FencedError when another writer wrote since."""
        value = msgspec.json.encode(entry)
        try:
            self._revision = await self._bucket.compare_and_set(self._key, value, self._revision)
        except ConflictError as error:
            raise self._fenced() from error
        self._entry = entry
        return entry

    async def renew(self) -> HotEntry:
        """Writes the same entry again: proof that the lane is still this writer's."""
        return await self.move(self.entry)

    async def confirm(self) -> None:
        """Reads the entry back: it must be what this writer wrote last. Raises FencedError."""
        kept = await self._bucket.read(self._key)
        if (
            kept is None
            or kept.revision != self._revision
            or _decode(kept.value, self._key) != self._entry
        ):
            raise self._fenced()

    def _fenced(self) -> FencedError:
        return FencedError(
            f"another writer took over hot.{self._lane}, or the key-value bucket was restored;"
            " this writer stops without writing"
        )


async def peek_entry(bucket: Bucket, lane: str) -> HotEntry | None:
    """The hot entry of a lane as it stands; None when there is none."""
    kept = await bucket.read(f"hot.{lane}")
    return None if kept is None else _decode(kept.value, f"hot.{lane}")


def _decode(value: bytes, key: str) -> HotEntry:
    return decode_record(value, HotEntry, key, FORMAT)
