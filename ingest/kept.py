"""Records kept in the NATS key-value bucket, changed only by compare-and-set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import (
    BucketNotFoundError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NotFoundError,
)
from nats.js.kv import KeyValue

from ingest.errors import RecordInvalidError, StreamConfigError, StreamUnavailableError
from ingest.nats_link import NatsLink

BUCKET = "ingest"
LEASE_BUCKET = "ingest-lease"
RETRY_S = 0.1


class Formatted(Protocol):
    """A record that says in which format it was written."""

    @property
    def format(self) -> int:
        """Number of the format."""


Record = TypeVar("Record", bound=Formatted)


class ConflictError(Exception):
    """The record changed since it was read: another process wrote it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record's bytes and the revision that a change must name."""

    value: bytes
    revision: int


class Bucket:
    """One key-value bucket; every write names the revision that it replaces."""

    def __init__(self, link: NatsLink, kv: KeyValue) -> None:
        self._link = link
        self._kv = kv

    async def read(self, key: str) -> Kept | None:
        """The record, or None when there is none. Raises StreamUnavailableError."""
        try:
            entry = await self._link.available(lambda: self._kv.get(key))
        except KeyNotFoundError:
            return None
        return Kept(entry.value or b"", entry.revision or 0)

    async def compare_and_set(self, key: str, value: bytes, revision: int) -> int:
        """Replaces the record of ``revision`` (0: there must be none); returns the new revision.

        ``value`` must differ from every value that another process may write. A write without
        an answer is never assumed: the record is read back until its fate is known, however long
        NATS is away. Raises ConflictError, or DrainTimeoutError when the process has to stop.
        """
        while True:
            try:
                return await self._link.available(lambda: self._write(key, value, revision))
            except StreamUnavailableError:
                await self._link.pause(RETRY_S)
            except KeyWrongLastSequenceError as error:
                found = await self._read_patiently(key)
                if found is not None and found.value == value and found.revision > revision:
                    return found.revision  # an earlier try of ours had landed without an answer
                raise ConflictError(key) from error

    async def delete(self, key: str) -> None:
        """Removes the record; harmless when there is none."""
        await self._link.available(lambda: self._kv.purge(key))

    async def _write(self, key: str, value: bytes, revision: int) -> int:
        if revision:
            return await self._kv.update(key, value, last=revision)
        return await self._kv.create(key, value)

    async def _read_patiently(self, key: str) -> Kept | None:
        while True:
            try:
                return await self.read(key)
            except StreamUnavailableError:
                await self._link.pause(RETRY_S)


def decode_record(value: bytes, kind: type[Record], key: str, known_format: int) -> Record:
    """The record of its JSON bytes. Raises RecordInvalidError when this version cannot read it."""
    try:
        record = msgspec.json.decode(value, type=kind)
    except msgspec.DecodeError as error:
        raise RecordInvalidError(f"record {key} is not readable: {error}") from error
    if record.format != known_format:
        raise RecordInvalidError(
            f"record {key} has format {record.format}, this version reads {known_format};"
            " upgrade ingest"
        )
    return record


async def open_bucket(link: NatsLink, name: str = BUCKET) -> Bucket:
    """The bucket that ``ingest init`` made; StreamConfigError when it is missing."""
    try:
        return Bucket(link, await link.available(lambda: link.js.key_value(name)))
    except (BucketNotFoundError, NotFoundError) as error:
        raise StreamConfigError(
            f"NATS has no key-value bucket {name!r}; run `ingest init` first"
        ) from error


async def create_bucket(link: NatsLink, name: str, *, replicas: int, ttl_s: float = 0) -> bool:
    """Makes the bucket when it is missing; True when it was made now.

    ``ttl_s`` lets entries vanish after that many seconds (for leases); 0 keeps them.
    """
    try:
        await link.available(lambda: link.js.key_value(name))
    except (BucketNotFoundError, NotFoundError):
        config = KeyValueConfig(
            bucket=name,
            history=1,
            ttl=ttl_s or None,
            storage=StorageType.FILE,
            replicas=replicas,
            direct=False,
        )
        await link.available(lambda: link.js.create_key_value(config))
        return True
    return False


__all__ = [
    "BUCKET",
    "LEASE_BUCKET",
    "Bucket",
    "ConflictError",
    "Kept",
    "create_bucket",
    "open_bucket",
]
