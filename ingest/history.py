"""Is the stream's history still the one that was read? And where does it part if not.

A sequence is known by its number and its JetStream timestamp. Another timestamp under a number
that was read, or a stream that ends before it, means that the history was rewritten: a tail lost
in a power cut, a restored backup, a stream made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

import structlog

from ingest.errors import StreamUnavailableError
from ingest.marks import Mark
from ingest.nats_link import NatsLink
from ingest.registry import Epoch, Registry, RegistryStore, diverged_epoch
from ingest.stream_info import message_at, message_from, stream_state

log = structlog.get_logger(__name__)

NearestRow = Callable[[int], Awaitable[Mark | None]]
"""The sink's row at or below a sequence: what was read there once."""

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
    state = await stream_state(link, lane)
    verdict = Verdict.SAME
    for mark in marks:
        if mark.sequence == 0 or mark.stored_at_us == 0:
            continue
        if mark.sequence > state.last_seq:
            return Verdict.REWRITTEN
        found = await message_at(link, lane, mark.sequence)
        if found is None:
            verdict = Verdict.UNPROVEN
        elif found.stored_at_ns // 1000 != mark.stored_at_us:
            return Verdict.REWRITTEN
    return verdict


async def divergence(link: NatsLink, lane: str, nearest_row: NearestRow, upto: int) -> int:
    """The sequence after the last row that the stream still agrees with.

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
    return agreed + 1


async def new_epoch(link: NatsLink, store: RegistryStore, known: str, first_seq: int) -> Registry:
    """The registry under whose newest epoch a reader of epoch ``known`` goes on.

    Adopts the epoch that another writer registered if its first message is still the stream's,
    else registers one that starts at ``first_seq``. Waits for its first message, whose timestamp
    is part of the name.
    """
    while True:
        try:
            registry = await store.read()
            assert registry is not None
            if registry.epoch.id != known and await _is_current(link, store.lane, registry.epoch):
                return registry
            message = await message_from(link, store.lane, first_seq)
            if message is not None:
                epoch = diverged_epoch(await stream_state(link, store.lane), message)
                log.warning("history_rewritten", lane=store.lane, epoch=epoch.id, first=first_seq)
                await store.add_epoch(registry, epoch)
                continue
        except StreamUnavailableError as error:
            log.warning("history_waiting", problem=str(error))
        await asyncio.sleep(POLL_S)


async def _is_current(link: NatsLink, lane: str, epoch: Epoch) -> bool:
    found = await message_at(link, lane, epoch.first_seq)
    return found is not None and found.stored_at_ns == epoch.first_stored_at_ns
