"""One cheap look at a lane for the checks of every half minute: NATS and the catalog, no data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from nats.js.errors import APIError, NotFoundError

from ingest import status_nats
from ingest.contract import Contract
from ingest.dlq import STREAM as DEAD_LETTERS
from ingest.dlq import SUBJECT_PREFIX
from ingest.errors import IngestError, StreamConfigError
from ingest.kept import open_bucket
from ingest.ledger import Ledger, LedgerEntry
from ingest.marks import Mark
from ingest.nats_link import NatsLink, connect
from ingest.proof.chain import ChainReport, summary_chain
from ingest.proof.plan import closed
from ingest.registry import Registry, RegistryStore
from ingest.settings import Settings
from ingest.sinks.iceberg import IcebergSink
from ingest.stream_info import message_from, stream_state
from ingest.stream_scan import scan
from pipelines.lanes import Lane

Result = TypeVar("Result")
NATS, ICEBERG = "NATS", "Iceberg"
LAST_S = 3_600.0
"""The stretch over which refused messages are counted."""
MOST_READ = 5_000
"""Dead letters whose headers are read; of more, tombstones count as well."""
_INACTIVE_NS = 5_000_000_000


@dataclass(frozen=True)
class SinkLook:
    """One sink's distance to the stream.

    ``mark`` is what it holds up to (None: nothing yet), ``waiting_s`` how long ago the oldest
    message that it lacks was stored, ``writer`` who writes now.
    """

    mark: Mark | None
    lag_messages: int
    waiting_s: float
    writer: str | None

    @property
    def position(self) -> int:
        """Last sequence that the sink holds."""
        return self.mark.sequence if self.mark else 0


@dataclass(frozen=True)
class ProofLook:
    """``left`` sequences are in both sinks and not proven, the oldest stored ``waiting_s`` ago."""

    proven: LedgerEntry | None
    left: int
    waiting_s: float


@dataclass(frozen=True)
class Refusals:
    """Messages, and refused ones, of the last ``LAST_S`` seconds."""

    messages: int
    refused: int


@dataclass
class LaneLook:
    """What a look at ``at`` (UTC) found; ``problems`` says by system why a part is missing."""

    lane: str
    at: datetime
    registry: Registry | None = None
    stream_last: int = 0
    hot: SinkLook | None = None
    lake: SinkLook | None = None
    proof: ProofLook | None = None
    refusals: Refusals | None = None
    chain: ChainReport | None = None
    problems: dict[str, str] = field(default_factory=dict)

    def why(self, *systems: str) -> str:
        """Why parts that need these systems are missing."""
        told = [f"{name}: {self.problems[name]}" for name in systems if name in self.problems]
        return "; ".join(told) or "the lane is not provisioned, run `ingest init`"


def look(settings: Settings, contract: Contract) -> LaneLook:
    """Looks at the lane; a system that is away is a problem of the parts that need it, no error."""
    return asyncio.run(_look(settings, contract))


def look_at(lanes: Sequence[Lane]) -> list[LaneLook]:
    """Looks at all lanes side by side: one that keeps the look waiting costs the others nothing."""

    async def all_of_them() -> list[LaneLook]:
        return await asyncio.gather(*(_look(one.settings, one.contract) for one in lanes))

    return asyncio.run(all_of_them())


async def _look(settings: Settings, contract: Contract) -> LaneLook:
    found = LaneLook(contract.stream, datetime.now(UTC))
    sink = IcebergSink(settings, contract, contract.stream)
    watermark: list[Mark | None] = []

    async def ask_catalog() -> None:
        table = await asyncio.to_thread(sink.load)
        found.chain = summary_chain(table, contract.stream)
        watermark.append(sink.watermark(table))

    await _noted(found, ICEBERG, ask_catalog)

    async def ask_nats() -> None:
        link = await connect(settings.nats, "iot-checks", patient=False)
        try:
            await _ask_nats(link, contract.stream, found, watermark)
        finally:
            await link.close()

    await _noted(found, NATS, ask_nats)
    return found


async def _noted(found: LaneLook, system: str, ask: Callable[[], Awaitable[None]]) -> None:
    try:
        await ask()
    except (IngestError, APIError) as error:
        found.problems[system] = str(error)


async def _ask_nats(
    link: NatsLink, lane: str, found: LaneLook, watermark: list[Mark | None]
) -> None:
    state = await stream_state(link, lane)
    found.stream_last = state.last_seq
    found.registry = await RegistryStore(link, await open_bucket(link), lane).peek()
    entry = await status_nats.hot_entry(link, lane)
    done = entry.done if entry else None
    found.hot = await _sink(link, lane, "hot", state.last_seq, done)
    if watermark:
        found.lake = await _sink(link, lane, "lake", state.last_seq, watermark[0])
        found.proof = await _proof(link, lane, found)
    found.refusals = await _refusals(link, lane)


async def _sink(link: NatsLink, lane: str, path: str, last: int, mark: Mark | None) -> SinkLook:
    position = mark.sequence if mark else 0
    unread = await message_from(link, lane, position + 1)
    first = unread.sequence if unread else last + 1
    return SinkLook(
        mark=mark,
        lag_messages=max(last - max(position, first - 1), 0) if unread else 0,
        waiting_s=max(time.time() - unread.stored_at_ns / 1e9, 0.0) if unread else 0.0,
        writer=await status_nats.lease_holder(link, path, lane),
    )


async def _proof(link: NatsLink, lane: str, found: LaneLook) -> ProofLook | None:
    """None while a sink has stored nothing: no range is closed."""
    kept = await Ledger(link, lane).last()
    proven = kept.entry if kept else None
    marks = [one.mark for one in (found.hot, found.lake) if one is not None]
    known = [one for one in marks if one is not None]
    if found.registry is None or len(known) < 2:
        return None
    upto = closed(found.registry, known)
    first = proven.last + 1 if proven is not None and proven.epoch == upto.epoch else 1
    oldest = await message_from(link, lane, first)
    if oldest is None or oldest.sequence > upto.sequence:
        return ProofLook(proven, 0, 0.0)
    waiting_s = max(time.time() - oldest.stored_at_ns / 1e9, 0.0)
    return ProofLook(proven, upto.sequence - oldest.sequence + 1, waiting_s)


async def _refusals(link: NatsLink, lane: str) -> Refusals:
    since = datetime.fromtimestamp(time.time() - LAST_S, UTC)
    messages, _ = await stored_since(link, lane, ">", since)
    subject = f"{SUBJECT_PREFIX}.{lane}.>"
    letters, first = await stored_since(link, DEAD_LETTERS, subject, since)
    if letters == 0 or letters > MOST_READ:
        return Refusals(messages, letters)
    # Replays and purges leave tombstones: the subject tells when the refused message was stored.
    since_ns = int(since.timestamp() * 1e9)
    refused = {
        message.subject
        async for message in scan(link, DEAD_LETTERS, subject, start_seq=first, headers_only=True)
        if int(message.subject.rpartition(".")[2]) >= since_ns
    }
    return Refusals(messages, len(refused))


async def stored_since(
    link: NatsLink, stream: str, subject: str, since: datetime
) -> tuple[int, int]:
    """Number of messages stored on the subject since then, and the first sequence to look at.

    Counted by the server's index; no message is read. Raises StreamConfigError when there is no
    such stream, StreamUnavailableError.
    """
    config: dict[str, Any] = {
        "ack_policy": "none",
        "deliver_policy": "by_start_time",
        "opt_start_time": since.isoformat().replace("+00:00", "Z"),
        "filter_subject": subject,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": _INACTIVE_NS,
    }
    try:
        made = await link.api(
            f"CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": config}
        )
    except NotFoundError as error:
        raise StreamConfigError(
            f"NATS has no stream {stream!r}; run `ingest init` first"
        ) from error
    await link.api(f"CONSUMER.DELETE.{stream}.{made['name']}", {})
    return int(made["num_pending"]), int(made["delivered"]["stream_seq"]) + 1
