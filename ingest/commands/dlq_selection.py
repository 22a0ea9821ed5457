"""Which refused messages a command means: by sequence, reason, time and state."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import click

from ingest.dlq_read import Entry
from ingest.refusal import Reason

_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Sequences, or everything that fits; raises click.UsageError for what cannot be meant."""

    sequences: tuple[int, ...] = ()
    reason: str | None = None
    since: str | None = None
    state: str = "open"

    def wanted(self) -> Callable[[Entry], bool]:
        """Whether an entry is meant."""
        if self.reason is not None and self.reason not in set(Reason):
            raise click.UsageError(
                f"no reason {self.reason!r}; expected one of {', '.join(Reason)}"
            )
        since_ns = _since_ns(self.since)

        def fits(entry: Entry) -> bool:
            return (
                (not self.sequences or entry.sequence in self.sequences)
                and (self.reason is None or entry.reason == self.reason)
                and entry.stored_at_ns >= since_ns
                and self._fits_state(entry)
            )

        return fits

    def _fits_state(self, entry: Entry) -> bool:
        if self.state == "open":
            return entry.state.is_open
        return self.state in ("all", entry.state)


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """SEQUENCES, ``--reason``, ``--since`` and ``--all`` as one argument ``selection``."""

    @click.argument("sequences", type=click.IntRange(1), nargs=-1)
    @click.option("--reason", default=None, help="All of this reason, such as invalid_json")
    @click.option(
        "--since",
        default=None,
        metavar="WHEN",
        help="Only messages stored in the stream since then: 30m, 2h, 7d or RFC 3339",
    )
    @click.option("--all", "everything", is_flag=True, help="All that still have a payload")
    @wraps(command)
    def with_selection(
        *args: Any,
        sequences: tuple[int, ...],
        reason: str | None,
        since: str | None,
        everything: bool,
        **kwargs: Any,
    ) -> Any:
        if not (sequences or reason or everything):
            raise click.UsageError("name sequences, --reason or --all")
        selection = Selection(sequences=sequences, reason=reason, since=since)
        return command(*args, selection=selection, **kwargs)

    return with_selection


def _since_ns(text: str | None) -> int:
    """Nanoseconds since the Unix epoch of "2h" (ago) or of an RFC 3339 moment."""
    if text is None:
        return 0
    ago = _AGO.fullmatch(text)
    if ago:
        moment = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise click.UsageError(
                f"--since: found {text!r}, expected 30m, 2h, 7d or 2026-01-31T12:00:00Z"
            ) from error
        if moment.tzinfo is None:
            raise click.UsageError(f"--since: {text!r} has no zone; put Z behind it for UTC")
    return int(moment.timestamp() * 1_000_000) * 1_000
