"""How far a writer is behind its stream, and how far retention is behind the writer."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import structlog

from ingest.errors import StreamConfigError, StreamUnavailableError
from ingest.lane import Lane
from ingest.stream_info import StreamState, stream_state

log = structlog.get_logger(__name__)

EVERY_S = 2.0
HISTORY = 30


class Headroom:
    """Estimates when retention reaches unread messages, from how fast the stream's start moves."""

    def __init__(self) -> None:
        self._starts: deque[tuple[float, int]] = deque(maxlen=HISTORY)

    def seconds(self, now: float, state: StreamState, position: int) -> float:
        """Seconds until ``position`` would be removed; infinity when nothing moves that way.

        The stream's first sequence is followed over the last minute; a stream that has not begun
        to drop messages is asked how much of its size or age is left.
        """
        self._starts.append((now, state.first_seq))
        since, first = self._starts[0]
        moved = state.first_seq - first
        if moved <= 0 or now <= since:
            return float("inf")
        return max(position - state.first_seq, 0) * (now - since) / moved


async def watch_lag(lane: Lane) -> None:
    """Keeps the lag gauges fresh while the writer runs."""
    headroom = Headroom()
    gauge = lane.metrics.gauge
    while True:
        try:
            state = await stream_state(lane.link, lane.name)
        except (StreamUnavailableError, StreamConfigError) as error:
            log.debug("lag_unknown", problem=str(error))
        else:
            position = lane.metrics.watermark_now + 1
            gauge("ingest_stream_last_seq").set(state.last_seq)
            gauge("ingest_lag_messages").set(max(state.last_seq - position + 1, 0))
            gauge("ingest_retention_headroom_messages").set(position - state.first_seq)
            left = headroom.seconds(time.monotonic(), state, position)
            gauge("ingest_retention_headroom_seconds").set(left)
        await asyncio.sleep(EVERY_S)
