"""What a run compares: the closed range, cut into parts that can be judged in one way each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from ingest.fingerprint import hexadecimal
from ingest.ledger import LedgerEntry
from ingest.marks import Mark
from ingest.proof.side import Segment
from ingest.ranges import SequenceRange, subtract
from ingest.registry import Epoch, Registry

MAX_SEQUENCE = (1 << 63) - 1
SPAN = 1 << 20
"""Largest number of sequences of one ledger entry."""


class Kind(StrEnum):
    """Who can vouch for a part."""

    STREAM = "stream"
    """The stream holds it: everything is compared."""
    LEDGER = "ledger"
    """It has aged out of the stream and was proven before: the sinks against the ledger."""
    LOST = "lost"
    """Retention removed it unread, and a person accepted that: on record, nothing to compare."""
    AGED_OUT = "aged out"
    """It has aged out and was never proven: the sinks against each other."""
    REWRITTEN = "rewritten"
    """Rows of a history that the stream no longer has: the sinks against each other."""


@dataclass(frozen=True)
class Part:
    """Sequences of one epoch and version that are judged alike; ``entry`` for LEDGER.

    ``aged``: proven, and older than the hot table has to keep; it may have been dropped there.
    """

    kind: Kind
    segment: Segment
    entry: LedgerEntry | None = None
    note: str = ""
    aged: bool = False

    @property
    def vouched(self) -> bool:
        """Whether something else than the two sinks says what they must hold."""
        return self.kind in (Kind.STREAM, Kind.LEDGER)


@dataclass(frozen=True)
class Known:
    """What a plan is made from.

    ``upto`` is how far both sinks are: a sequence of the stream as it is now, and the earliest
    epoch that one of them still stands in (the tails of those before it are closed).
    ``hot_since_us``: the hot table must hold what was stored since then (microseconds since the
    Unix epoch); 0: everything.
    """

    registry: Registry
    upto: Mark
    stream_first: int
    entries: tuple[LedgerEntry, ...]
    hot_since_us: int = 0


def make_plan(known: Known, *, full: bool, since: int | None = None) -> list[Part]:
    """The parts of the closed range, oldest first.

    Incremental: what follows the newest ledger entry. Full: everything in the ledger before that,
    by the stream where it still holds an entry in whole. With ``since``: the entries of the
    ledger that begin at that sequence or later, and what follows both.
    """
    start = _Start.after(known)
    if since is not None:
        start = max(start, _Start(_number(known.registry, known.upto.epoch), since))
    again = full or since is not None
    parts = [_of_entry(known, one) for one in known.entries if again and one.first >= (since or 0)]
    parts = [one for one in parts if since is None or _within(one, known.upto)]
    for number, epoch in enumerate(known.registry.record.epochs):
        parts += _of_epoch(known, number, epoch, start)
    return [one for part in _merged(parts) for one in _spans(part)]


@dataclass(frozen=True, order=True)
class _Start:
    """The first sequence not covered yet: ``sequence`` of ``epoch``, all of later ones."""

    epoch: int
    sequence: int

    @classmethod
    def after(cls, known: Known) -> _Start:
        if not known.entries:
            return cls(0, 0)
        newest = known.entries[-1]
        return cls(_number(known.registry, newest.epoch), newest.last + 1)

    def of(self, number: int, epoch: Epoch) -> int | None:
        if number < self.epoch:
            return None
        return max(epoch.first_seq, self.sequence) if number == self.epoch else epoch.first_seq


def _of_entry(known: Known, entry: LedgerEntry) -> Part:
    segment = Segment(entry.epoch, entry.version, entry.range)
    aged = entry.last_stored_at_us < known.hot_since_us
    end = _end(known, _number(known.registry, entry.epoch))
    if entry.sinks:
        return Part(Kind.LEDGER, segment, entry, "; ".join(entry.unproven), aged)
    if entry.losses:
        return Part(Kind.LOST, segment, entry, "; ".join(entry.losses))
    if entry.first >= known.stream_first and entry.last <= end:
        return Part(Kind.STREAM, segment, aged=aged)
    return Part(Kind.LEDGER, segment, entry, aged=aged)


def _within(part: Part, upto: Mark) -> bool:
    """Whether the part begins at or below the mark; whole histories before it do."""
    segment = part.segment
    return segment.epoch != upto.epoch or segment.range.first <= upto.sequence


def _merged(parts: list[Part]) -> list[Part]:
    """Adjacent parts as one where nothing is lost by that."""
    merged: list[Part] = []
    for part in parts:
        joined = _joined(merged[-1], part) if merged else None
        if joined is not None:
            merged[-1] = joined
        else:
            merged.append(part)
    return merged


def _joined(one: Part, other: Part) -> Part | None:
    a, b = one.segment, other.segment
    kinds = one.kind is other.kind and one.aged is other.aged
    alike = kinds and (a.epoch, a.version) == (b.epoch, b.version)
    if not alike or one.note or other.note or a.range.last + 1 != b.range.first:
        return None
    whole = SequenceRange(a.range.first, b.range.last)
    if one.entry is None or other.entry is None:
        joined = Segment(a.epoch, a.version, whole)
        return Part(one.kind, joined, aged=one.aged) if one.vouched else None
    if len(whole) > SPAN:
        return None
    entry = msgspec.structs.replace(
        one.entry,
        last=other.entry.last,
        messages=one.entry.messages + other.entry.messages,
        holes=one.entry.holes + other.entry.holes,
        refused=one.entry.refused + other.entry.refused,
        rows=one.entry.rows + other.entry.rows,
        fingerprint=_added(one.entry.fingerprint, other.entry.fingerprint),
        refused_fingerprint=_added(one.entry.refused_fingerprint, other.entry.refused_fingerprint),
        last_stored_at_us=other.entry.last_stored_at_us,
    )
    return Part(one.kind, Segment(a.epoch, a.version, whole), entry, aged=one.aged)


def _added(one: str, other: str) -> str:
    return hexadecimal(int(one, 16) + int(other, 16))


def _of_epoch(known: Known, number: int, epoch: Epoch, start: _Start) -> list[Part]:
    first = start.of(number, epoch)
    upto_number = _number(known.registry, known.upto.epoch)
    if first is None or number > upto_number:
        return []
    end = _end(known, number)
    parts: list[Part] = []
    last = min(end, known.upto.sequence)
    aged_last = min(last, known.stream_first - 1)
    if first <= aged_last:
        parts += _aged(known, epoch, SequenceRange(first, aged_last))
    held_first = max(first, known.stream_first)
    if held_first <= last:
        whole = SequenceRange(held_first, last)
        parts += [Part(Kind.STREAM, one) for one in by_version(known.registry, epoch, whole)]
    if number < upto_number and last == end:
        tail = SequenceRange(max(first, end + 1), MAX_SEQUENCE)
        version = by_version(known.registry, epoch, tail)[0].version
        note = f"the stream's history was rewritten at {end + 1}"
        parts.append(Part(Kind.REWRITTEN, Segment(epoch.id, version, tail), note=note))
    return parts


def _aged(known: Known, epoch: Epoch, whole: SequenceRange) -> list[Part]:
    """Aged out: accepted losses apart from what nobody can vouch for."""
    parts: list[Part] = []
    lost: list[SequenceRange] = []
    for loss in known.registry.record.losses:
        here = whole.overlap(SequenceRange(loss.first, loss.last))
        if loss.epoch == epoch.id and here is not None:
            for left in subtract(here, lost):
                lost.append(left)
                note = f"{left} were not read by {loss.path}, accepted"
                parts += [
                    Part(Kind.LOST, one, note=note)
                    for one in by_version(known.registry, epoch, left)
                ]
    note = "retention removed them from the stream before they were proven"
    for rest in subtract(whole, lost):
        parts += [
            Part(Kind.AGED_OUT, one, note=note) for one in by_version(known.registry, epoch, rest)
        ]
    return sorted(parts, key=lambda part: part.segment.range)


def by_version(registry: Registry, epoch: Epoch, whole: SequenceRange) -> list[Segment]:
    """The range cut where another contract version comes into force."""
    order = [one.id for one in registry.record.epochs]
    here = order.index(epoch.id)
    changes = [
        one.first_seq
        for one in registry.record.versions
        if one.epoch == epoch.id and whole.first < one.first_seq <= whole.last
    ]
    segments: list[Segment] = []
    bounds = [whole.first, *sorted(set(changes)), whole.last + 1]
    for first, following in itertools.pairwise(bounds):
        number = max(
            one.number
            for one in registry.record.versions
            if one.number == 1
            or (one.first_seq and order.index(one.epoch) < here)
            or (one.epoch == epoch.id and 0 < one.first_seq <= first)
        )
        segments.append(Segment(epoch.id, number, SequenceRange(first, following - 1)))
    return segments


def _spans(part: Part) -> list[Part]:
    """The part cut into the ranges of single ledger entries."""
    if part.kind is not Kind.STREAM:
        return [part]
    whole = part.segment
    bounds = range(whole.range.first // SPAN + 1, whole.range.last // SPAN + 1)
    firsts = [whole.range.first, *(number * SPAN for number in bounds)]
    lasts = [*(first - 1 for first in firsts[1:]), whole.range.last]
    return [
        replace(part, segment=Segment(whole.epoch, whole.version, SequenceRange(first, last)))
        for first, last in zip(firsts, lasts, strict=True)
    ]


def _end(known: Known, number: int) -> int:
    """Last sequence that the stream holds of an epoch: just before the next one's first."""
    epochs = known.registry.record.epochs
    following = [one.first_seq for one in epochs[number + 1 :]]
    return min(following) - 1 if following else MAX_SEQUENCE


def closed(registry: Registry, marks: list[Mark]) -> Mark:
    """How far all the marks are; see Known.

    A mark of a history that has ended reaches to its end at most. One below the first sequence of
    its epoch was moved there after a rewrite: the messages in between are of the history before.
    """
    known = Known(registry, marks[0], 1, ())
    numbers = [_number(registry, mark.epoch) for mark in marks]
    reached = [
        min(mark.sequence, _end(known, number)) for mark, number in zip(marks, numbers, strict=True)
    ]
    return Mark(registry.record.epochs[min(numbers)].id, max(min(reached), 0), 0)


def _number(registry: Registry, epoch: str) -> int:
    ids = [one.id for one in registry.record.epochs]
    return ids.index(epoch) if epoch in ids else 0
