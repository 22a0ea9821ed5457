"""How far each part of a lane is now, against the last look: what moved, how fast, what lags."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contract import Contract
from ingest.decode import Decoder
from ingest.kept import open_bucket
from ingest.messages import Messages
from ingest.nats_link import NatsLink
from ingest.ranges import SequenceRange
from ingest.registry import RegistryStore
from ingest.settings import Settings
from ingest.status_record import LaneStatus, PathStatus, TableStatus
from ingest.stream_info import StoredMessage, message_at, message_from

Figures = dict[str, int | float | str]

STREAM, HOT, LAKE, DEAD_LETTERS = "stream", "hot", "lake", "dead_letters"
CAUGHT_UP_EVERY_S = 300.0
"""How often a part that has nothing to do is said to be up to date."""
_ASKED = {
    STREAM: ("NATS", "stream"),
    HOT: ("NATS", "key-value buckets", "ClickHouse"),
    LAKE: ("Iceberg",),
    DEAD_LETTERS: ("NATS", "DLQ"),
}


class Seen(msgspec.Struct, frozen=True):
    """One part at an earlier look: its position, and when (Unix time) it was looked at and told."""

    position: int
    epoch: str
    at: float
    told_at: float


Memory = dict[str, Seen]


@dataclass(frozen=True)
class Progress:
    """One part of the lane now.

    ``moved`` says that more is durable than at the look before, ``current`` that there is nothing
    left to do and that this has to be said again. ``problem`` says what could not be asked.
    """

    part: str
    position: int | None
    epoch: str
    lag_messages: int
    figures: Figures
    moved: bool = False
    current: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Ages:
    """What only messages tell of one sink.

    ``event_s`` is the age of the newest event in its newest message, ``lag_s`` how long its oldest
    unread message has waited.
    """

    event_s: float | None
    lag_s: float


@dataclass(frozen=True)
class LaneAges:
    """Ages by part (HOT, LAKE), and the number of histories of the lane."""

    parts: Mapping[str, Ages] = field(default_factory=dict)
    epochs: int | None = None


def impatient(settings: Settings) -> Settings:
    """The same settings with waits short enough for a look within seconds."""
    nats, clickhouse, catalog = settings.nats, settings.clickhouse, settings.catalog
    return settings.model_copy(
        update={
            "nats": nats.model_copy(update={"request_timeout_s": min(nats.request_timeout_s, 3.0)}),
            "clickhouse": clickhouse.model_copy(update={"query_timeout_s": 8.0}),
            "catalog": catalog.model_copy(update={"timeout_s": min(catalog.timeout_s, 8.0)}),
        }
    )


async def lane_ages(link: NatsLink, contract: Contract, status: LaneStatus) -> LaneAges:
    """Ages of the messages at both sinks' positions. Raises StreamUnavailableError."""
    parts: dict[str, Ages] = {}
    for name, path in ((HOT, status.hot), (LAKE, status.lake)):
        if path is not None and path.position:
            unread = await message_from(link, status.lane, path.position + 1)
            lag_s = max(time.time() - unread.stored_at_ns / 1e9, 0.0) if unread else 0.0
            newest = await message_at(link, status.lane, path.position)
            event_s = _event_age_s(newest, contract) if newest else None
            parts[name] = Ages(event_s, round(lag_s, 3))
    registry = await RegistryStore(link, await open_bucket(link), status.lane).peek()
    return LaneAges(parts, len(registry.record.epochs) if registry else None)


def progress(status: LaneStatus, ages: LaneAges, before: Memory, now: float) -> list[Progress]:
    """Every part of the lane, compared with what was seen before."""
    found = [
        _stream(status),
        _path(status, HOT, status.hot, status.clickhouse, ages, "parts"),
        _path(status, LAKE, status.lake, status.iceberg, ages, "files"),
        _dead_letters(status),
    ]
    return [_compared(one, before.get(one.part), now) for one in found]


def remember(found: list[Progress], before: Memory, now: float) -> Memory:
    """What the next look is compared with; a part that could not be asked stays as it was."""
    memory = dict(before)
    for one in found:
        if one.position is not None:
            told = one.moved or one.current
            told_at = now if told or one.part not in before else before[one.part].told_at
            memory[one.part] = Seen(one.position, one.epoch, now, told_at)
    return memory


def _stream(status: LaneStatus) -> Progress:
    stream = status.stream
    if stream is None:
        return _unknown(status, STREAM)
    figures: Figures = {
        "watermark": stream.last_seq,
        "first_sequence": stream.first_seq,
        "messages": stream.messages,
        "bytes": stream.bytes,
        "rate_lately_per_s": stream.rate,
    }
    if status.verified is not None:
        figures |= {"proven_upto": status.verified.last, "proven_ago_s": status.verified.age_s}
    return Progress(STREAM, stream.last_seq, "", 0, figures)


def _path(
    status: LaneStatus,
    part: str,
    path: PathStatus | None,
    table: TableStatus | None,
    ages: LaneAges,
    files: str,
) -> Progress:
    if path is None:
        return _unknown(status, part)
    figures: Figures = {"watermark": path.position, "epoch": path.epoch or "none"}
    known: dict[str, int | float | None] = {
        "lag_messages": path.lag_messages,
        "freshness_stored_s": path.freshness_s,
        "dropped_unread": path.dropped_unread or None,
        "epochs": ages.epochs,
    }
    if part in ages.parts:
        mine = ages.parts[part]
        known |= {"lag_s": mine.lag_s, "freshness_event_s": mine.event_s}
    if table is not None:
        known |= {"dagster/row_count": table.rows, files: table.files, "bytes": table.bytes}
    figures |= {name: value for name, value in known.items() if value is not None}
    return Progress(
        part, path.position, path.epoch, path.lag_messages or 0, figures, problem=_why(status, part)
    )


def _dead_letters(status: LaneStatus) -> Progress:
    dlq = status.dlq
    if dlq is None:
        return _unknown(status, DEAD_LETTERS)
    waiting = sum(dlq.reasons.values())
    figures: Figures = {"open": waiting, "entries_of_all_lanes": dlq.entries, "bytes": dlq.bytes}
    figures |= {f"reason/{reason}": count for reason, count in dlq.reasons.items()}
    return Progress(DEAD_LETTERS, waiting, "", 0, figures)


def _unknown(status: LaneStatus, part: str) -> Progress:
    return Progress(part, None, "", 0, {}, problem=_why(status, part) or "nothing was stored yet")


def _why(status: LaneStatus, part: str) -> str:
    told = [
        f"{name}: {why}"
        for name, why in status.problems.items()
        if any(name.startswith(asked) for asked in _ASKED[part])
    ]
    return "; ".join(told)


def _compared(one: Progress, before: Seen | None, now: float) -> Progress:
    if one.position is None:
        return one
    figures = dict(one.figures)
    if before is not None and before.epoch == one.epoch and now > before.at:
        rate = (one.position - before.position) / (now - before.at)
        figures["rate_per_s"] = round(max(rate, 0.0), 3)
    if before is None:
        return replace(one, figures=figures, moved=one.position > 0)
    moved = (before.position, before.epoch) != (one.position, one.epoch)
    quiet = one.position > 0 and not moved and not one.lag_messages and not one.problem
    due = now - before.told_at >= CAUGHT_UP_EVERY_S and one.part in (HOT, LAKE)
    return replace(one, figures=figures, moved=moved, current=quiet and due)


def _event_age_s(message: StoredMessage, contract: Contract) -> float | None:
    """Seconds since the newest event time in the message, None when it was refused."""
    messages = Messages(
        sequences=np.array([message.sequence], np.int64),
        stored_at_ns=np.array([message.stored_at_ns], np.int64),
        subjects=[message.subject],
        payloads=[message.payload],
        covered=SequenceRange(message.sequence, message.sequence),
    )
    rows = Decoder(contract, lane=contract.stream).decode(messages, epoch="0").batch
    newest = pc.max(rows.column(contract.time_column)).cast(pa.int64()).as_py()
    return round(time.time() - newest / 1e6, 3) if newest is not None else None
