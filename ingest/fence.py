"""A lane's fence in the key-value bucket: who writes it, told by a number that only grows.

The lake's real fence is the catalog's compare-and-swap; this record makes a writer that was
overtaken notice early, and tells who the writer is.
"""

from __future__ import annotations

import msgspec

from ingest.errors import FencedError
from ingest.kept import Bucket, ConflictError, decode_record

FORMAT = 1


class FenceRecord(msgspec.Struct, frozen=True):
    """What is kept under ``lake.<lane>``."""

    format: int
    writer: str
    number: int


class Fence:
    """One writer's hold on ``<key>``."""

    def __init__(self, bucket: Bucket, key: str, writer: str) -> None:
        self.bucket = bucket
        self._key = key
        self._writer = writer
        self._revision = 0

    async def take_over(self) -> int:
        """Becomes the writer; returns the new number. Raises FencedError on a race."""
        kept = await self.bucket.read(self._key)
        number = (_decode(kept.value, self._key).number if kept else 0) + 1
        record = msgspec.json.encode(FenceRecord(FORMAT, self._writer, number))
        try:
            self._revision = await self.bucket.compare_and_set(
                self._key, record, kept.revision if kept else 0
            )
        except ConflictError as error:
            raise self._fenced() from error
        return number

    async def confirm(self) -> None:
        """Raises FencedError when another writer took over since."""
        kept = await self.bucket.read(self._key)
        if kept is None or kept.revision != self._revision:
            raise self._fenced()

    def _fenced(self) -> FencedError:
        return FencedError(
            f"another writer took over {self._key}, or the key-value bucket was restored; this"
            " writer stops without writing"
        )


async def peek(bucket: Bucket, key: str) -> FenceRecord | None:
    """The record as it stands, None when there is none."""
    kept = await bucket.read(key)
    return None if kept is None else _decode(kept.value, key)


def _decode(value: bytes, key: str) -> FenceRecord:
    return decode_record(value, FenceRecord, key, FORMAT)
