"""The work of `ingest dlq`: connect, choose entries, and act on each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from ingest.contract import Contract
from ingest.dlq_read import (
    Entry,
    EntryState,
    all_entries,
    entries_of,
    latest,
    newest_entries,
)
from ingest.dlq_replay import Replayer
from ingest.dlq_room import Room
from ingest.dlq_trial import Trial
from ingest.errors import IngestError
from ingest.kept import open_bucket
from ingest.lanes import inlet, lane_contract
from ingest.nats_link import NatsLink, connect
from ingest.registry import RegistryStore
from ingest.settings import Settings

AT_ONCE = 32

Wanted = Callable[[Entry], bool]


class Choice(Protocol):
    """Which entries are meant; with no ``sequences`` all that are wanted."""

    @property
    def sequences(self) -> tuple[int, ...]:
        """Sequences that are meant."""

    def wanted(self) -> Wanted:
        """Whether an entry is meant."""


@dataclass(frozen=True)
class Outcome:
    """What became of one entry: replayed, purged, skipped or failed."""

    sequence: int
    what: str
    detail: str = ""
    failed: bool = False

    def __str__(self) -> str:
        joint = ": " if self.what in ("skipped", "failed") else " "
        return f"{self.sequence}: {self.what}{joint if self.detail else ''}{self.detail}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def list_entries(settings: Settings, wanted: Wanted, limit: int) -> list[Entry]:
    """The newest ``limit`` entries that are wanted, without payloads."""
    async with _lane(settings) as (link, lane):
        return await newest_entries(link, lane, limit, wanted)


async def show_entries(settings: Settings, sequence: int) -> list[tuple[Entry, str | None]]:
    """Entries of a sequence with payload, and why each would be refused now."""
    async with _lane(settings) as (link, lane):
        trial = Trial(await _contract_in_force(link, settings), lane)
        return [
            (entry, trial.problem(entry) if entry.state.is_open else None)
            for entry in await entries_of(link, lane, sequence)
        ]


async def replay_entries(
    settings: Settings, choice: Choice, *, even_if_refused: bool, dry_run: bool
) -> list[Outcome]:
    """Publishes the chosen entries again, those that would be stored or all of them."""
    async with _lane(settings) as (link, lane), Room(link) as room:
        trial = Trial(await _contract_in_force(link, settings), lane)
        replayer = Replayer(link, lane, room, inlet(settings))

        async def act(entry: Entry) -> Outcome:
            problem = trial.problem(entry)
            if problem and not even_if_refused and entry.state is EntryState.REFUSED:
                return Outcome(entry.sequence, "skipped", f"would be refused again, {problem}")
            if dry_run:
                return Outcome(entry.sequence, "would be replayed", f"to {entry.subject}")
            done = await replayer.replay(entry)
            return Outcome(entry.sequence, "replayed", f"as {done.replayed_as}")

        return await _each(link, await _chosen(link, lane, choice), act)


async def purge_entries(
    settings: Settings, choice: Choice, *, unproven: bool, dry_run: bool
) -> list[Outcome]:
    """Drops the payloads of the chosen entries."""
    async with _lane(settings) as (link, lane), Room(link) as room:
        replayer = Replayer(link, lane, room)

        async def act(entry: Entry) -> Outcome:
            if dry_run:
                return Outcome(entry.sequence, "would be purged", f"{entry.size} bytes")
            await replayer.purge(entry, unproven=unproven)
            return Outcome(entry.sequence, "purged")

        return await _each(link, await _chosen(link, lane, choice), act)


async def _chosen(link: NatsLink, lane: str, choice: Choice) -> list[Entry]:
    """Entries that are meant, without payload; a sequence named without one is an error."""
    wanted = choice.wanted()
    if not choice.sequences:
        return await all_entries(link, lane, wanted)
    found: list[Entry] = []
    for sequence in choice.sequences:
        entries = await entries_of(link, lane, sequence)
        found += [replace(entry, payload=None) for entry in entries if wanted(entry)]
    return found


async def _each(
    link: NatsLink, entries: list[Entry], act: Callable[[Entry], Awaitable[Outcome]]
) -> list[Outcome]:
    """Acts on every entry, some at a time; an entry that fails does not stop the others."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(listed: Entry) -> Outcome:
        async with limit:
            entry = await latest(link, listed.key)
            if entry is None or not entry.state.is_open:
                return Outcome(listed.sequence, "skipped", "changed meanwhile")
            try:
                return await act(entry)
            except IngestError as error:
                return Outcome(listed.sequence, "failed", str(error), failed=True)

    return list(await asyncio.gather(*(one(entry) for entry in entries)))


async def _contract_in_force(link: NatsLink, settings: Settings) -> Contract:
    """The newest contract version of the lane, the file's before there is any."""
    contract = lane_contract(settings)
    registry = await RegistryStore(link, await open_bucket(link), contract.stream).read()
    if registry is None:
        return contract
    return Contract.from_json(registry.record.versions[-1].contract)


@contextlib.asynccontextmanager
async def _lane(settings: Settings) -> AsyncIterator[tuple[NatsLink, str]]:
    lane = lane_contract(settings).stream
    link = await connect(settings.nats, "ingest-dlq", patient=False)
    try:
        yield link, lane
    finally:
        await link.close()
