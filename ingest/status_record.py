"""What `ingest status` tells of a lane; ages and times left are in seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True)
class StreamStatus:
    """The lane's stream; ``rate`` is messages a second lately."""

    name: str
    first_seq: int
    last_seq: int
    messages: int
    bytes: int
    max_bytes: int
    max_age_s: float
    discard: str
    rate: float
    full_in_s: float


@dataclass(frozen=True)
class PathStatus:
    """One path: ``position`` is the last sequence durable in its sink.

    ``freshness_s`` is the age of the newest message with a row there, by stream time;
    ``dropped_in_s`` the time until the next message to read would be dropped. ``dropped_unread``
    counts messages that retention has removed above ``position``: they are lost for this path.
    """

    position: int
    epoch: str
    pending: str | None
    fence: int | None
    fence_writer: str | None
    lease_holder: str | None
    lag_messages: int | None
    freshness_s: float | None
    dropped_in_s: float | None
    dropped_unread: int | None


@dataclass(frozen=True)
class TableStatus:
    """What a sink holds of the contract's table; ``files`` are parts or data files."""

    name: str
    rows: int
    files: int
    bytes: int


@dataclass(frozen=True)
class DeadLetterStatus:
    """Refused messages: all entries of all lanes, and the lane's open ones by reason.

    ``complete`` is False when ``reasons`` counts only the newest part of a long queue.
    """

    entries: int
    bytes: int
    max_bytes: int
    reasons: dict[str, int]
    complete: bool


@dataclass(frozen=True)
class VerifiedStatus:
    """The newest proven range: its last sequence, and how long ago it was proven."""

    epoch: str
    last: int
    age_s: float


@dataclass
class LaneStatus:
    """One lane. ``problems`` names each part that could not be asked, and why."""

    lane: str
    contract: str
    stream: StreamStatus | None = None
    hot: PathStatus | None = None
    lake: PathStatus | None = None
    clickhouse: TableStatus | None = None
    iceberg: TableStatus | None = None
    dlq: DeadLetterStatus | None = None
    verified: VerifiedStatus | None = None
    problems: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; infinity, which JSON lacks, is null."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asdict(self)))
        return plain
