"""How long until a stream drops messages that were not read, from its limits and recent rate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StreamFill:
    """A stream's limits (0 or less: none), what it holds, and how fast it grows.

    ``rate`` is messages a second lately.
    """

    first_seq: int
    last_seq: int
    messages: int
    bytes: int
    max_age_s: float
    max_bytes: int
    max_messages: int
    discards_old: bool
    rate: float


def seconds_until_dropped(fill: StreamFill, position: int, oldest_unread_age_s: float) -> float:
    """Seconds until the message at ``position`` would be dropped if nobody read on.

    ``position`` is the next sequence to read, ``oldest_unread_age_s`` the age of its message, 0
    when there is none yet. Infinity when no limit will reach it. A stream that refuses new
    messages drops by age alone.
    """
    left = [float("inf")]
    if fill.max_age_s > 0:
        left.append(max(fill.max_age_s - oldest_unread_age_s, 0.0))
    if fill.discards_old and fill.rate > 0:
        ahead = _messages_before_dropped(fill, position)
        left.append(ahead / fill.rate)
    return min(left)


def seconds_until_full(fill: StreamFill) -> float:
    """Seconds until a stream that refuses new messages is full, infinity for others."""
    if fill.discards_old or fill.rate <= 0:
        return float("inf")
    return _room(fill) / fill.rate


def _messages_before_dropped(fill: StreamFill, position: int) -> float:
    """New messages that fit before the one at ``position`` has to go."""
    read = max(position - fill.first_seq, 0)
    span = max(fill.last_seq - fill.first_seq + 1, 1)
    read_messages = min(read / span, 1.0) * fill.messages
    return _room(fill) + read_messages


def _room(fill: StreamFill) -> float:
    """New messages of the usual size that fit without dropping any."""
    room = [float("inf")]
    if fill.max_messages > 0:
        room.append(max(fill.max_messages - fill.messages, 0))
    if fill.max_bytes > 0 and fill.messages:
        room.append(max(fill.max_bytes - fill.bytes, 0) * fill.messages / fill.bytes)
    return min(room)
