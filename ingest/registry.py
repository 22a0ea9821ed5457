"""The registry of a lane: its histories (epochs) and its contract versions, in force by sequence.

Both writers read the same registry before they decode, so they name and decode a sequence alike.
It is one record, changed only by compare-and-set.

A contract version comes into force in two steps, so that no message is decoded under two
versions: it is first *announced*, and only then the stream's last sequence is read and the version
gets the next one as its first. A writer that decodes a message has read the registry after it
received the message: if it did not see the announcement, the message is older than it, and lies
below the first sequence of the new version. Whoever meets an announcement may take the second step.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import structlog

from ingest.contract import Contract
from ingest.errors import RecordInvalidError, SchemaMismatchError
from ingest.kept import Bucket, ConflictError, decode_record
from ingest.nats_link import NatsLink
from ingest.stream_info import StoredMessage, StreamState, nanoseconds, stream_state

log = structlog.get_logger(__name__)

FORMAT = 1
ANNOUNCED = 0


class Epoch(msgspec.Struct, frozen=True):
    """One history of a lane: sequences from ``first_seq`` on bear ``id``.

    ``stream_created`` is the server's text for the stream's creation time. The first history of a
    lane has no first message of its own: ``first_stored_at_ns`` is 0.
    """

    id: str
    stream_created: str
    first_seq: int
    first_stored_at_ns: int = 0


class Version(msgspec.Struct, frozen=True):
    """One contract version; ``first_seq`` 0 while it is only announced."""

    number: int
    epoch: str
    first_seq: int
    contract: str


class Loss(msgspec.Struct, frozen=True):
    """Messages that retention removed unread, accepted by a person with --accept-loss."""

    path: str
    epoch: str
    first: int
    last: int


class RegistryRecord(msgspec.Struct, frozen=True):
    """What is kept under ``registry.<lane>``."""

    format: int
    epochs: tuple[Epoch, ...]
    versions: tuple[Version, ...]
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True)
class Registry:
    """The registry as read at one revision."""

    lane: str
    record: RegistryRecord
    revision: int

    @property
    def epoch(self) -> Epoch:
        """The history that goes on now."""
        return self.record.epochs[-1]

    def epoch_of(self, sequence: int) -> Epoch:
        """The history that a message read now under ``sequence`` belongs to."""
        for epoch in reversed(self.record.epochs):
            if epoch.first_seq <= sequence:
                return epoch
        return self.record.epochs[0]

    def version_of(self, sequence: int) -> Version:
        """The contract version in force for a message read now under ``sequence``."""
        order = {epoch.id: index for index, epoch in enumerate(self.record.epochs)}
        here = order[self.epoch_of(sequence).id]
        for version in reversed(self.record.versions):
            if version.first_seq == ANNOUNCED:
                continue
            there = order.get(version.epoch, 0)
            if there < here or (there == here and version.first_seq <= sequence):
                return version
        return self.record.versions[0]

    def next_change(self, sequence: int) -> int | None:
        """The first sequence above ``sequence`` with another epoch or version, or None."""
        current = self.epoch.id
        starts = [e.first_seq for e in self.record.epochs]
        starts += [v.first_seq for v in self.record.versions if v.epoch == current]
        later = [start for start in starts if start > sequence]
        return min(later) if later else None

    @property
    def announced(self) -> Version | None:
        """The version that has no first sequence yet, or None."""
        newest = self.record.versions[-1]
        return newest if newest.first_seq == ANNOUNCED else None

    def version(self, number: int) -> Version:
        """The version of that number. Raises RecordInvalidError."""
        for version in self.record.versions:
            if version.number == number:
                return version
        raise RecordInvalidError(
            f"the registry of {self.lane} has no contract version {number}; it was restored from an"
            " older copy, run `ingest doctor`"
        )


class RegistryStore:
    """Reads and changes the registry of one lane."""

    def __init__(self, link: NatsLink, bucket: Bucket, lane: str) -> None:
        self._link = link
        self._bucket = bucket
        self.lane = lane
        self._key = f"registry.{lane}"

    async def read(self) -> Registry | None:
        """The registry, every announced version put in force first; None when there is none."""
        while True:
            registry = await self.peek()
            if registry is None or registry.announced is None:
                return registry
            await self._put_in_force(registry, registry.announced)

    async def peek(self) -> Registry | None:
        """The registry as it stands; None when there is none."""
        kept = await self._bucket.read(self._key)
        if kept is None:
            return None
        return Registry(self.lane, _decode(kept.value, self._key), kept.revision)

    async def open(self, contract: Contract) -> Registry:
        """The registry, made for ``contract`` on the lane's first run.

        Raises SchemaMismatchError when the contract file differs from the newest version.
        """
        while True:
            registry = await self.read()
            if registry is not None:
                _require_same(registry, contract)
                return registry
            state = await stream_state(self._link, self.lane)
            epoch = first_epoch(state)
            version = Version(1, epoch.id, epoch.first_seq, contract.to_json())
            await self._try(RegistryRecord(FORMAT, (epoch,), (version,)), 0)

    async def announce(self, contract: Contract) -> Registry:
        """Puts ``contract`` in force as the next version, from the next message on."""
        while True:
            registry = await self.read()
            if registry is None:
                return await self.open(contract)
            newest = registry.record.versions[-1]
            if newest.contract == contract.to_json():
                return registry
            version = Version(newest.number + 1, registry.epoch.id, ANNOUNCED, contract.to_json())
            versions = (*registry.record.versions, version)
            await self._try(_replace(registry.record, versions=versions), registry.revision)

    async def add_epoch(self, registry: Registry, epoch: Epoch) -> None:
        """Registers a new history unless the registry changed since: then read it again."""
        epochs = (*registry.record.epochs, epoch)
        await self._try(_replace(registry.record, epochs=epochs), registry.revision)

    async def accept_loss(self, loss: Loss) -> None:
        """Records a range that retention removed before ``loss.path`` had read it."""
        while True:
            registry = await self.read()
            assert registry is not None
            if loss in registry.record.losses:
                return
            losses = (*registry.record.losses, loss)
            await self._try(_replace(registry.record, losses=losses), registry.revision)

    async def _put_in_force(self, registry: Registry, version: Version) -> None:
        state = await stream_state(self._link, self.lane)
        settled = Version(
            version.number, registry.epoch.id, max(state.last_seq + 1, 1), version.contract
        )
        versions = (*registry.record.versions[:-1], settled)
        await self._try(_replace(registry.record, versions=versions), registry.revision)

    async def _try(self, record: RegistryRecord, revision: int) -> None:
        try:
            await self._bucket.compare_and_set(self._key, msgspec.json.encode(record), revision)
        except ConflictError:
            log.debug("registry_changed_meanwhile", lane=self.lane)


def first_epoch(state: StreamState) -> Epoch:
    """The history that a lane starts with: all that the stream holds when ingest first runs."""
    return Epoch(f"{nanoseconds(state.created):x}", state.created, max(state.first_seq, 1))


def diverged_epoch(state: StreamState, first: StoredMessage) -> Epoch:
    """The history that starts with ``first``; its facts never come together again."""
    name = f"{nanoseconds(state.created):x}s{first.sequence:x}t{first.stored_at_ns:x}"
    return Epoch(name, state.created, first.sequence, first.stored_at_ns)


def _decode(value: bytes, key: str) -> RegistryRecord:
    return decode_record(value, RegistryRecord, key, FORMAT)


def _replace(record: RegistryRecord, **changes: object) -> RegistryRecord:
    return msgspec.structs.replace(record, **changes)


def _require_same(registry: Registry, contract: Contract) -> None:
    newest = registry.record.versions[-1]
    if newest.contract != contract.to_json():
        raise SchemaMismatchError(
            f"the contract file {contract.name!r} differs from version {newest.number} that is in"
            f" force on {registry.lane}; see `ingest schema diff`, then `ingest schema apply`"
        )
