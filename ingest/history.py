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
from ingest.registry import Registry, RegistryStore, diverged_epoch
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
    """The first sequence at which the sink's rows and the stream part.

    Rows agree up to some sequence and differ from there on, so halving finds it.
    """
    state = await stream_state(link, lane)
    agrees = max(state.first_seq - 1, 0)
    differs = min(upto, state.last_seq) + 1
    while agrees + 1 < differs:
        middle = (agrees + differs) // 2
        row = await nearest_row(middle)
        if row is None or row.sequence <= agrees:
            agrees = middle
            continue
        found = await message_at(link, lane, row.sequence)
        if found is None or found.stored_at_ns // 1000 == row.stored_at_us:
            agrees = middle
        else:
            differs = row.sequence
    return agrees + 1


async def new_epoch(
    link: NatsLink, store: RegistryStore, registry: Registry, first_seq: int
) -> Registry:
    """Registers the history that starts at ``first_seq``, or adopts the one already registered.

    Waits for the first message of it: its timestamp is part of the epoch's name.
    """
    while True:
        current = await store.read()
        assert current is not None
        if current.record.epochs != registry.record.epochs:
            return current
        try:
            state = await stream_state(link, store.lane)
            message = await message_from(link, store.lane, first_seq)
        except StreamUnavailableError:
            await asyncio.sleep(POLL_S)
            continue
        if message is not None:
            epoch = diverged_epoch(state, message)
            log.warning(
                "history_rewritten",
                lane=store.lane,
                epoch=epoch.id,
                first_seq=epoch.first_seq,
                advice="readings stored under the earlier epoch stay; both are part of the proof",
            )
            return await store.add_epoch(current, epoch)
        await asyncio.sleep(POLL_S)
