"""Is the stream's history still the one that was read? And where does it part if not.

A sequence is known by its number and its JetStream timestamp. Another timestamp under a number
that was read, or a stream that ends before it, means that the history was rewritten: a tail lost
in a power cut, a restored backup, a stream made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

import structlog

from ingest.errors import RecordInvalidError, StreamUnavailableError
from ingest.marks import Mark
from ingest.nats_link import NatsLink
from ingest.registry import Epoch, Registry, RegistryStore, diverged_epoch
from ingest.stream_info import message_at, message_from, stream_state

log = structlog.get_logger(__name__)

NearestRow = Callable[[int], Awaitable[Mark | None]]
"""The sink's row at or below a sequence: what was read there once."""

RowOf = Callable[[int, str], Awaitable[Mark | None]]
"""The sink's row at or below a sequence, of one epoch."""

POLL_S = 0.25


class Verdict(StrEnum):
    """What a look-up says of the history."""

    SAME = "same"
    UNPROVEN = "unproven"
    REWRITTEN = "rewritten"


async def check(link: NatsLink, lane: str, marks: list[Mark]) -> Verdict:
    """Compares marks that were read with what the stream holds under their sequences.

    UNPROVEN when retention has removed the newest of them, which is no rewrite.
    """
    return (await compare(link, lane, marks))[0]


async def compare(link: NatsLink, lane: str, marks: list[Mark]) -> tuple[Verdict, Mark | None]:
    """Like ``check``, with the lowest of the marks that the stream contradicts."""
    state = await stream_state(link, lane)
    verdict = Verdict.SAME
    for mark in sorted(marks, key=lambda one: one.sequence):
        if mark.sequence == 0 or mark.stored_at_us == 0:
            continue
        if mark.sequence > state.last_seq:
            return Verdict.REWRITTEN, mark
        found = await message_at(link, lane, mark.sequence)
        if found is None:
            verdict = Verdict.UNPROVEN
        elif found.stored_at_ns // 1000 != mark.stored_at_us:
            return Verdict.REWRITTEN, mark
    return verdict, None


@dataclass(frozen=True)
class Rewrite:
    """How a reader goes on after a rewrite: from ``position``, under the registry's last epoch.

    ``position`` is at or below that epoch's first sequence: what lies between is of the history
    before, and this reader's sink does not hold it.
    """

    position: int
    registry: Registry


async def follow(
    link: NatsLink,
    store: RegistryStore,
    known: str,
    gone: Mark,
    row_of: RowOf,
    wait: Callable[[], Awaitable[None]],
) -> Rewrite:
    """Finds where the history of epoch ``known`` ended, registers or adopts what follows it.

    ``gone`` is the lowest mark that the stream contradicts. ``wait`` is called between looks for
    the first message of the new history and may raise.
    """
    registry = await store.read()
    epochs = require_known(registry, known)

    async def row_in_force(sequence: int) -> Mark | None:
        for epoch in reversed(epochs):
            if epoch.first_seq <= sequence:
                row = await row_of(sequence, epoch.id)
                if row is not None and row.sequence >= epoch.first_seq:
                    return row
                sequence = epoch.first_seq - 1
        return None

    agreed, differs = await _bounds(link, store.lane, row_in_force, gone.sequence)
    first = await _first_stored_after(link, store.lane, agreed, differs, gone)
    following = await new_epoch(link, store, known, first, upto=differs, wait=wait)
    return Rewrite(agreed + 1, following)


async def divergence(link: NatsLink, lane: str, nearest_row: NearestRow, upto: int) -> int:
    """The sequence after the last row that the stream still agrees with."""
    return (await _bounds(link, lane, nearest_row, upto))[0] + 1


async def _bounds(link: NatsLink, lane: str, nearest_row: NearestRow, upto: int) -> tuple[int, int]:
    """The last row that the stream agrees with, and a sequence by which the histories differ.

    Rows agree up to some sequence and differ from there on, so halving finds it. A sequence
    without a row proves nothing: it is read again, which can double no row.
    """
    state = await stream_state(link, lane)
    agreed = searched = max(state.first_seq - 1, 0)
    differs = min(upto, state.last_seq) + 1
    while searched + 1 < differs:
        middle = (searched + differs) // 2
        row = await nearest_row(middle)
        if row is None or row.sequence <= searched:
            searched = middle
            continue
        found = await message_at(link, lane, row.sequence)
        if found is not None and found.stored_at_ns // 1000 == row.stored_at_us:
            agreed, searched = row.sequence, middle
        elif found is None:
            searched = middle
        else:
            differs = row.sequence
    return agreed, differs


async def _first_stored_after(
    link: NatsLink, lane: str, agreed: int, differs: int, gone: Mark
) -> int:
    """The first sequence of (agreed, differs] that the stream stored after ``gone``.

    Rows alone do not tell it: what lies between may be of the old history and not in this sink.
    Everything new was stored after everything old, so the timestamps part them. Only names depend
    on that clock: what is read again is decided by rows.
    """
    low, high = agreed, max(differs, agreed + 1)
    while low + 1 < high:
        middle = (low + high) // 2
        found = await message_from(link, lane, middle)
        if found is None or found.stored_at_ns // 1000 > gone.stored_at_us:
            high = middle
        else:
            low = min(max(middle, found.sequence), high - 1)
    return high


def require_known(registry: Registry | None, epoch: str) -> tuple[Epoch, ...]:
    """The epochs up to the one named. Raises RecordInvalidError when the registry lacks it."""
    epochs = registry.record.epochs if registry is not None else ()
    for number, one in enumerate(epochs):
        if one.id == epoch:
            return epochs[: number + 1]
    raise RecordInvalidError(
        f"the registry does not know epoch {epoch}, under which rows were stored: the key-value"
        " bucket was restored from an older copy or emptied; restore a newer copy of it"
    )


async def new_epoch(
    link: NatsLink,
    store: RegistryStore,
    known: str,
    first_seq: int,
    *,
    upto: int | None = None,
    wait: Callable[[], Awaitable[None]] | None = None,
) -> Registry:
    """The registry under whose newest epoch a reader of epoch ``known`` goes on.

    Adopts the epoch that another writer registered if its first message is still the stream's and
    not above ``upto``, else registers one that starts at ``first_seq``. Waits for its first
    message, whose timestamp is part of the name; ``wait`` is called between looks and may raise.
    """
    while True:
        try:
            registry = await store.read()
            assert registry is not None
            newest = registry.epoch
            suits = newest.id != known and (upto is None or newest.first_seq <= upto)
            if suits and await _is_current(link, store.lane, newest):
                return registry
            message = await message_from(link, store.lane, first_seq)
            if message is not None:
                epoch = diverged_epoch(await stream_state(link, store.lane), message)
                if epoch.id == newest.id:
                    return registry
                log.warning("history_rewritten", lane=store.lane, epoch=epoch.id, first=first_seq)
                await store.add_epoch(registry, epoch)
                continue
        except StreamUnavailableError as error:
            log.warning("history_waiting", problem=str(error))
        if wait is not None:
            await wait()
        await asyncio.sleep(POLL_S)


async def _is_current(link: NatsLink, lane: str, epoch: Epoch) -> bool:
    found = await message_at(link, lane, epoch.first_seq)
    return found is not None and found.stored_at_ns == epoch.first_stored_at_ns
