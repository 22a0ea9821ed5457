"""The NATS side of a lane's status: stream, kept records, leases, dead letters, ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from nats.js.errors import NotFoundError

from ingest import fence
from ingest.dlq import STREAM as DEAD_LETTERS
from ingest.dlq_read import reasons
from ingest.errors import StreamConfigError
from ingest.fence import FenceRecord
from ingest.headroom import StreamFill, seconds_until_dropped, seconds_until_full
from ingest.hot_entry import EntryStore, HotEntry
from ingest.kept import LEASE_BUCKET, Bucket, open_bucket
from ingest.ledger import Ledger
from ingest.marks import Mark
from ingest.nats_link import NatsLink
from ingest.status_record import DeadLetterStatus, PathStatus, StreamStatus, VerifiedStatus
from ingest.stream_info import message_from

RATE_MESSAGES = 2_000
NEWEST_DEAD_LETTERS = 5_000


@dataclass(frozen=True)
class StreamFacts:
    """A stream as the server tells it, with the rate of its newest messages."""

    status: StreamStatus
    fill: StreamFill


async def stream_facts(link: NatsLink, stream: str) -> StreamFacts:
    """The stream's facts. Raises StreamConfigError when there is no such stream."""
    info = await _stream_info(link, stream)
    config, state = info["config"], info["state"]
    fill = StreamFill(
        first_seq=state["first_seq"],
        last_seq=state["last_seq"],
        messages=state["messages"],
        bytes=state["bytes"],
        max_age_s=config["max_age"] / 1e9,
        max_bytes=config["max_bytes"],
        max_messages=config["max_msgs"],
        discards_old=config["discard"] == "old",
        rate=await _rate(link, stream, state),
    )
    status = StreamStatus(
        name=stream,
        first_seq=fill.first_seq,
        last_seq=fill.last_seq,
        messages=fill.messages,
        bytes=fill.bytes,
        max_bytes=fill.max_bytes,
        max_age_s=fill.max_age_s,
        discard=config["discard"],
        rate=round(fill.rate, 3),
        full_in_s=seconds_until_full(fill),
    )
    return StreamFacts(status, fill)


async def hot_entry(link: NatsLink, lane: str) -> HotEntry | None:
    """The hot path's kept entry, None before its first run."""
    return await EntryStore(await open_bucket(link), lane, "status").peek()


async def lake_fence(link: NatsLink, lane: str) -> FenceRecord | None:
    """The lake path's fence, None before its first run."""
    return await fence.peek(await open_bucket(link), f"lake.{lane}")


async def lease_holder(link: NatsLink, path: str, lane: str) -> str | None:
    """Who writes the lane now, None when nobody does."""
    bucket: Bucket = await open_bucket(link, LEASE_BUCKET)
    kept = await bucket.read(f"{path}.{lane}")
    return kept.value.decode("utf-8", "replace") if kept else None


def hot_status(entry: HotEntry | None, holder: str | None) -> PathStatus:
    """The hot path by its entry; lag and times come with `with_stream`."""
    return PathStatus(
        position=entry.done.sequence if entry else 0,
        epoch=entry.done.epoch if entry else "",
        pending=str(entry.pending.range) if entry and entry.pending else None,
        fence=entry.fence if entry else None,
        fence_writer=entry.writer if entry else None,
        lease_holder=holder,
        lag_messages=None,
        freshness_s=age_s(entry.row) if entry else None,
        dropped_in_s=None,
        dropped_unread=None,
    )


async def with_stream(link: NatsLink, path: PathStatus, facts: StreamFacts) -> PathStatus:
    """The path with lag and with the time until its next message would be dropped."""
    fill, position = facts.fill, path.position + 1
    unread = await message_from(link, facts.status.name, position)
    age = max(time.time() - unread.stored_at_ns / 1e9, 0.0) if unread else 0.0
    return replace(
        path,
        lag_messages=max(fill.last_seq - max(path.position, fill.first_seq - 1), 0),
        dropped_in_s=seconds_until_dropped(fill, position, age),
        # A path that never ran begins where the stream begins.
        dropped_unread=max(fill.first_seq - position, 0) if path.position else 0,
    )


async def dead_letters(link: NatsLink, lane: str) -> DeadLetterStatus:
    """The dead-letter queue; only its newest entries are read."""
    info = await _stream_info(link, DEAD_LETTERS)
    counted, complete = await reasons(link, lane, NEWEST_DEAD_LETTERS)
    return DeadLetterStatus(
        entries=info["state"]["messages"],
        bytes=info["state"]["bytes"],
        max_bytes=info["config"]["max_bytes"],
        reasons=dict(counted.most_common()),
        complete=complete,
    )


async def verified(link: NatsLink, lane: str) -> VerifiedStatus | None:
    """The newest range on the ledger, None before the first proof."""
    last = await Ledger(link, lane).last()
    if last is None:
        return None
    entry = last.entry
    return VerifiedStatus(entry.epoch, entry.last, time.time() - entry.proven_at_us / 1e6)


def age_s(mark: Mark | None) -> float | None:
    """Age of a mark's message by stream time."""
    if mark is None or not mark.stored_at_us:
        return None
    return round(max(time.time() - mark.stored_at_us / 1e6, 0.0), 3)


async def _stream_info(link: NatsLink, stream: str) -> dict[str, Any]:
    try:
        return await link.api(f"STREAM.INFO.{stream}", {})
    except NotFoundError as error:
        raise StreamConfigError(
            f"NATS has no stream {stream!r}; run `ingest init` first"
        ) from error


async def _rate(link: NatsLink, stream: str, state: dict[str, Any]) -> float:
    """Messages a second since the newest few thousand began, up to now."""
    since = max(state["first_seq"], state["last_seq"] - RATE_MESSAGES + 1)
    first = await message_from(link, stream, since) if state["messages"] else None
    if first is None:
        return 0.0
    seconds = time.time() - first.stored_at_ns / 1e9
    return float(state["last_seq"] - first.sequence + 1) / max(seconds, 0.001)
