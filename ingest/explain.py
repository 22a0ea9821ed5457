"""The whole story of one sequence: message, decoding, both sinks, dead letter, ledger."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ingest.decode import Decoded, Decoder
from ingest.dlq_read import NoSuchEntryError, entries_of
from ingest.errors import IngestError, Transient
from ingest.hot_entry import EntryStore, HotEntry
from ingest.kept import open_bucket
from ingest.ledger import LedgerEntry
from ingest.marks import Mark
from ingest.messages import Messages
from ingest.proof.facts import Facts, gathered
from ingest.proof.whereabouts import Stored, in_clickhouse, in_iceberg
from ingest.ranges import SequenceRange
from ingest.settings import Settings
from ingest.stream_info import StoredMessage, message_at

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Path:
    """One sink's part: how far it is, and where the rows lie; ``problem`` when it is not there."""

    state: str
    rows: list[Stored] = field(default_factory=list)
    problem: str = ""


@dataclass
class Story:
    """Everything known of one sequence; ``summary`` says it in one sentence.

    ``state`` is future, hole, aged out, stored, refused, unread, under way or wrong.
    """

    lane: str
    sequence: int
    state: str
    summary: str
    epoch: str
    contract_version: int
    stored_at: str | None
    subject: str | None
    payload_bytes: int | None
    rows: list[dict[str, Any]]
    refusal: dict[str, str] | None
    hot: Path
    lake: Path
    dead_letters: list[dict[str, Any]]
    ledger: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def explain(settings: Settings, sequence: int) -> Story:
    """The story of ``sequence`` as of now.

    Raises StreamUnavailableError, SinkUnavailableError (the catalog), StreamConfigError.
    """
    async with gathered(settings, full=True) as facts:
        entry = await EntryStore(await open_bucket(facts.link), facts.lane, "").peek()
        message = await message_at(facts.link, facts.lane, sequence)
        epoch = facts.registry.epoch_of(sequence).id
        decoded = _decode(facts, message, epoch) if message is not None else None
        hot = await _hot(facts, entry, epoch, sequence)
        lake = await _lake(facts, epoch, sequence)
        letters = await _letters(facts, sequence)
        recorded = _recorded(facts.entries, epoch, sequence)
        state, summary = _tell(facts, sequence, message, decoded, hot, lake)
        return Story(
            lane=facts.lane,
            sequence=sequence,
            state=state,
            summary=summary,
            epoch=epoch,
            contract_version=facts.registry.version_of(sequence).number,
            stored_at=_clock(message.stored_at_ns) if message else None,
            subject=message.subject if message else None,
            payload_bytes=len(message.payload) if message else None,
            rows=decoded.batch.to_pylist() if decoded else [],
            refusal=_refusal(decoded),
            hot=hot,
            lake=lake,
            dead_letters=letters,
            ledger=recorded,
        )


def _tell(
    facts: Facts,
    sequence: int,
    message: StoredMessage | None,
    decoded: Decoded | None,
    hot: Path,
    lake: Path,
) -> tuple[str, str]:
    """State and sentence."""
    name, stream = f"sequence {sequence}", facts.lane
    held = f"ClickHouse holds {_rows(hot)}, Iceberg {_rows(lake)}"
    if sequence > facts.state.last_seq:
        last = facts.state.last_seq
        return "future", f"{name} is not in {stream} yet: its last message is {last}"
    if sequence < facts.state.first_seq:
        first = facts.state.first_seq
        text = f"{name} has aged out of {stream}, which begins at {first}; {held}"
        return "aged out", text
    if message is None or decoded is None:
        text = f"{name} is a hole: {stream} holds its neighbours but not it; {held}"
        return "hole", text
    if hot.state == "unread" and lake.state == "unread":
        return "unread", f"{name} is in {stream}; neither path has read it yet"
    waiting = [path for path, one in (("hot", hot), ("lake", lake)) if one.state != "done"]
    if decoded.refused:
        reason = decoded.refused[0].reason
        return "refused", f"{name} was refused ({reason}); it has no row and lies in the DLQ"
    if waiting:
        text = f"{name} is under way: the {' and the '.join(waiting)} path has not stored it yet"
        return "under way", f"{text}; {held}"
    want = decoded.batch.num_rows
    epoch = facts.registry.epoch_of(sequence).id
    counts = {sum(row.epoch == epoch for row in one.rows) for one in (hot, lake)}
    if counts != {want}:
        text = f"{name} is on record as stored with {want} rows, but {held}"
        return "wrong", f"{text}; run `ingest verify`"
    return "stored", f"{name} is stored: {held}"


def _rows(path: Path) -> str:
    if path.problem:
        return f"nothing known ({path.problem})"
    count = len(path.rows)
    return f"{count} row" if count == 1 else f"{count or 'no'} rows"


async def _hot(facts: Facts, entry: HotEntry | None, epoch: str, sequence: int) -> Path:
    path = Path(_hot_state(facts, entry, epoch, sequence))
    try:
        path.rows = await asyncio.to_thread(in_clickhouse, facts.hot, facts.lane, sequence)
    except IngestError as error:
        if not isinstance(error, Transient):
            raise
        path.problem = str(error)
    return path


async def _lake(facts: Facts, epoch: str, sequence: int) -> Path:
    mark = facts.lake_watermark
    path = Path("done" if mark and _reached(facts, mark, epoch, sequence) else "unread")
    path.rows = await asyncio.to_thread(in_iceberg, facts.lake, facts.table, facts.lane, sequence)
    return path


def _hot_state(facts: Facts, entry: HotEntry | None, epoch: str, sequence: int) -> str:
    if entry is None:
        return "unread"
    if _reached(facts, entry.done, epoch, sequence):
        return "done"
    pending = entry.pending
    if pending and pending.last_mark.epoch == epoch and sequence in pending.range:
        return "pending"
    return "unread"


def _reached(facts: Facts, mark: Mark, epoch: str, sequence: int) -> bool:
    order = [one.id for one in facts.registry.record.epochs]
    if mark.epoch not in order:
        return False
    return (order.index(epoch), sequence) <= (order.index(mark.epoch), mark.sequence)


async def _letters(facts: Facts, sequence: int) -> list[dict[str, Any]]:
    try:
        entries = await entries_of(facts.link, facts.lane, sequence)
    except NoSuchEntryError:
        return []
    return [
        {
            "subject": one.key,
            "state": str(one.state),
            "reason": one.reason,
            "detail": one.detail,
            "contract_version": one.version,
            "bytes": one.size,
            "replayed_as": one.replayed_as,
        }
        for one in entries
    ]


def _recorded(entries: tuple[LedgerEntry, ...], epoch: str, sequence: int) -> dict[str, Any] | None:
    for one in reversed(entries):
        if one.epoch == epoch and sequence in one.range:
            return {
                "first": one.first,
                "last": one.last,
                "proven_at": _clock(one.proven_at_us * 1000),
                "unproven": list(one.unproven),
                "losses": list(one.losses),
            }
    return None


def _decode(facts: Facts, message: StoredMessage, epoch: str) -> Decoded:
    version = facts.registry.version_of(message.sequence).number
    decoder = Decoder(facts.columns.of(version), lane=facts.lane)
    return decoder.decode(
        Messages(
            np.array([message.sequence], np.int64),
            np.array([message.stored_at_ns], np.int64),
            [message.subject],
            [message.payload],
            SequenceRange(message.sequence, message.sequence),
        ),
        epoch=epoch,
    )


def _refusal(decoded: Decoded | None) -> dict[str, str] | None:
    if decoded is None or not decoded.refused:
        return None
    (refused,) = decoded.refused
    return {"reason": str(refused.reason), "detail": refused.detail}


def _clock(nanoseconds: int) -> str:
    moment = EPOCH + timedelta(microseconds=nanoseconds // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
