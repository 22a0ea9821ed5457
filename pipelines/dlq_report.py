"""What the dead-letter queue holds of the lanes, by reason, subject and device, with examples."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ingest.contract import Contract
from ingest.dlq_read import Entry, latest, newest_entries
from ingest.nats_link import NatsLink
from pipelines.last_seen import device_column

Value = TypeVar("Value")

NEWEST = 20_000
"""Entries that are looked at; a longer queue is told from its newest part."""
READ = 300
"""Entries whose payload is read, to tell the device."""
AT_ONCE = 50
HOURS = 48
EXAMPLES_PER_REASON = 3
SHOWN_BYTES = 160
UNKNOWN = "(not readable)"


@dataclass(frozen=True)
class Example:
    """One refused message: what `ingest dlq show` tells in short."""

    lane: str
    sequence: int
    reason: str
    detail: str
    subject: str
    payload: str


@dataclass
class DeadLetterReport:
    """Open entries. ``by_hour`` counts refusals of the last 48 hours, the oldest hour first.

    ``by_device`` covers the ``read`` newest ones only; ``complete`` is False when the queue is
    longer than what was looked at.
    """

    open: int = 0
    complete: bool = True
    by_reason: Counter[str] = field(default_factory=Counter)
    by_subject: Counter[str] = field(default_factory=Counter)
    by_device: Counter[str] = field(default_factory=Counter)
    by_version: Counter[int] = field(default_factory=Counter)
    by_lane: Counter[str] = field(default_factory=Counter)
    by_hour: list[int] = field(default_factory=lambda: [0] * HOURS)
    read: int = 0
    bytes: int = 0
    newest_ago_s: float | None = None
    examples: list[Example] = field(default_factory=list)

    @property
    def last_day(self) -> int:
        """Refused in the last 24 hours."""
        return sum(self.by_hour[-24:])

    @property
    def day_before(self) -> int:
        """Refused in the 24 hours before those."""
        return sum(self.by_hour[:-24])


async def dead_letter_report(link: NatsLink, contract: Contract) -> DeadLetterReport:
    """The lane's open dead letters. Raises StreamConfigError, StreamUnavailableError."""
    entries = await newest_entries(link, contract.stream, NEWEST, lambda one: one.state.is_open)
    found = DeadLetterReport(open=len(entries), complete=len(entries) < NEWEST)
    found.by_lane[contract.stream] = len(entries)
    now = time.time()
    for one in entries:
        found.by_reason[one.reason] += 1
        found.by_subject[one.subject] += 1
        found.by_version[one.version] += 1
        found.bytes += one.size
        hours_ago = int((now - one.stored_at_ns / 1e9) // 3600)
        if 0 <= hours_ago < HOURS:
            found.by_hour[HOURS - 1 - hours_ago] += 1
    if entries:
        found.newest_ago_s = round(now - max(one.stored_at_ns for one in entries) / 1e9, 1)
    await _read(link, contract, entries[-READ:][::-1], found)
    return found


def together(reports: Sequence[DeadLetterReport]) -> DeadLetterReport:
    """The reports of several lanes as one."""
    ages = [one.newest_ago_s for one in reports if one.newest_ago_s is not None]
    return DeadLetterReport(
        open=sum(one.open for one in reports),
        complete=all(one.complete for one in reports),
        by_reason=_added(one.by_reason for one in reports),
        by_subject=_added(one.by_subject for one in reports),
        by_device=_added(one.by_device for one in reports),
        by_version=_added(one.by_version for one in reports),
        by_lane=_added(one.by_lane for one in reports),
        by_hour=[sum(counts) for counts in zip(*(one.by_hour for one in reports), strict=True)],
        read=sum(one.read for one in reports),
        bytes=sum(one.bytes for one in reports),
        newest_ago_s=min(ages, default=None),
        examples=[example for one in reports for example in one.examples],
    )


def _added(counters: Iterable[Counter[Value]]) -> Counter[Value]:
    found: Counter[Value] = Counter()
    for one in counters:
        found.update(one)
    return found


async def _read(
    link: NatsLink, contract: Contract, entries: list[Entry], found: DeadLetterReport
) -> None:
    """Payloads of the newest entries: whose they are, and examples of each reason."""
    shown: Counter[str] = Counter()
    for start in range(0, len(entries), AT_ONCE):
        some = entries[start : start + AT_ONCE]
        for one in await asyncio.gather(*(latest(link, entry.key) for entry in some)):
            if one is None or one.payload is None:
                continue
            found.read += 1
            found.by_device[_device(contract, one)] += 1
            shown[one.reason] += 1
            if shown[one.reason] <= EXAMPLES_PER_REASON:
                payload = one.payload[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
                found.examples.append(
                    Example(
                        *(contract.stream, one.sequence, one.reason),
                        *(one.detail, one.subject, payload),
                    )
                )


def _device(contract: Contract, entry: Entry) -> str:
    """The device as far as the refused message tells it."""
    column = contract.column(device_column(contract))
    if column.subject_token is not None:
        tokens = entry.subject.split(".")
        return tokens[column.subject_token] if column.subject_token < len(tokens) else UNKNOWN
    try:
        value: Any = json.loads(entry.payload or b"")
    except ValueError:
        return UNKNOWN
    if isinstance(value, list) and value:
        value = value[0]
    for key in column.path or ():
        value = value.get(key) if isinstance(value, dict) else None
    return value[:100] if isinstance(value, str) and value else UNKNOWN
