"""Refused messages as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from ingest.dlq_read import Entry
from ingest.dlq_work import Outcome

DETAIL_CHARACTERS = 80
SHOWN_OUTCOMES = 20
HEX_BYTES = 16


def entry_row(entry: Entry) -> tuple[object, ...]:
    """One line of a list."""
    state = f"replayed as {entry.replayed_as}" if entry.replayed_as else str(entry.state)
    detail = entry.detail
    if len(detail) > DETAIL_CHARACTERS:
        detail = detail[: DETAIL_CHARACTERS - 3] + "..."
    return (
        entry.sequence,
        _moment(entry.stored_at_ns),
        state,
        entry.size,
        entry.reason,
        entry.subject,
        detail,
    )


def entry_json(entry: Entry, problem: str | None = None, *, as_hex: bool = False) -> dict[str, Any]:
    """One entry; ``payload`` is text, ``payload_hex`` what is no text; absent in lists."""
    document: dict[str, Any] = {
        "lane": entry.lane,
        "sequence": entry.sequence,
        "stored_at": _moment(entry.stored_at_ns),
        "state": str(entry.state),
        "reason": entry.reason,
        "detail": entry.detail,
        "subject": entry.subject,
        "contract_version": entry.version,
        "bytes": entry.size,
        "replayed_as": entry.replayed_as,
    }
    if entry.payload is not None and entry.state.is_open:
        text = None if as_hex else _text(entry.payload)
        document["payload" if text is not None else "payload_hex"] = (
            text if text is not None else entry.payload.hex()
        )
        document["refused_now"] = problem
    return document


def entry_lines(entry: Entry, problem: str | None, *, as_hex: bool) -> Iterator[str]:
    """One entry for people: facts, then the payload."""
    facts: dict[str, object] = {
        "sequence": f"{entry.sequence} of {entry.lane}",
        "stored at": f"{_moment(entry.stored_at_ns)} UTC",
        "subject": entry.subject,
        "state": entry_row(entry)[2],
        "reason": f"{entry.reason}: {entry.detail}",
        "contract": f"version {entry.version}",
        "bytes": entry.size,
    }
    if entry.state.is_open:
        facts["now"] = f"refused again: {problem}" if problem else "would be stored"
    for name, value in facts.items():
        yield f"{name:<10} {value}"
    if not entry.payload:
        return
    yield ""
    text = None if as_hex else _text(entry.payload)
    if text is not None:
        yield text
        return
    for start in range(0, len(entry.payload), HEX_BYTES):
        part = entry.payload[start : start + HEX_BYTES]
        plain = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
        yield f"{start:08x}  {part.hex(' '):<47}  {plain}"


def outcome_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What became of each message: failures and the first few, then the counts."""
    failures = [outcome for outcome in outcomes if outcome.failed]
    fine = [outcome for outcome in outcomes if not outcome.failed]
    for outcome in fine[:SHOWN_OUTCOMES]:
        yield str(outcome)
    if len(fine) > SHOWN_OUTCOMES:
        yield f"... and {len(fine) - SHOWN_OUTCOMES} more"
    for outcome in failures:
        yield str(outcome)
    counted = Counter(outcome.what for outcome in outcomes)
    yield ", ".join(f"{count} {what}" for what, count in counted.items()) or "nothing to do"


def _moment(nanoseconds: int) -> str:
    whole = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 1_000_000_000 // 1_000:06d}"


def _text(payload: bytes) -> str | None:
    """The payload as printable text, None when it is none."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None
    return text if all(c.isprintable() or c in "\n\r\t" for c in text) else None
