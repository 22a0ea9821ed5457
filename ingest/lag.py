"""How far a writer is behind its stream, and how far retention is behind the writer."""

from __future__ import annotations

import asyncio
import time

import structlog

from ingest.errors import StreamConfigError, StreamUnavailableError
from ingest.headroom import StreamFill, seconds_until_dropped
from ingest.lane import Lane
from ingest.stream_info import StreamState, message_from, stream_state

log = structlog.get_logger(__name__)

EVERY_S = 1.0
ALARM_S = 900.0
RATE_MEMORY = 0.9
"""Share that the rate keeps of its former value at each look: about 10 s of memory."""


class StreamRate:
    """Messages a second that come into a stream, smoothed over the last looks."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._rate: float | None = None

    def look(self, now: float, last_seq: int) -> float:
        """The rate now that ``last_seq`` is the stream's last sequence."""
        before, self._last = self._last, (now, last_seq)
        if before is None or now <= before[0]:
            return self._rate or 0.0
        latest = max(last_seq - before[1], 0) / (now - before[0])
        known = latest if self._rate is None else self._rate
        self._rate = RATE_MEMORY * known + (1 - RATE_MEMORY) * latest
        return self._rate


async def watch_lag(lane: Lane) -> None:
    """Keeps the lag gauges fresh while the writer runs; alarms long before unread data goes."""
    rate = StreamRate()
    while True:
        try:
            state = await stream_state(lane.link, lane.name)
            await _note(lane, state, rate.look(time.monotonic(), state.last_seq))
        except (StreamUnavailableError, StreamConfigError) as error:
            log.debug("lag_unknown", problem=str(error))
        await asyncio.sleep(EVERY_S)


async def _note(lane: Lane, state: StreamState, rate: float) -> None:
    position = lane.metrics.watermark_now + 1
    unread = max(state.last_seq - position + 1, 0)
    oldest = await message_from(lane.link, lane.name, position) if unread else None
    age_s = max(time.time() - oldest.stored_at_ns / 1e9, 0.0) if oldest else 0.0
    left_s = seconds_until_dropped(_fill(state, rate), position, age_s)
    gauge = lane.metrics.gauge
    gauge("ingest_stream_last_seq").set(state.last_seq)
    gauge("ingest_lag_messages").set(unread)
    gauge("ingest_lag_seconds").set(age_s)
    gauge("ingest_lag_measured_timestamp_seconds").set(time.time())
    gauge("ingest_retention_headroom_messages").set(position - state.first_seq)
    gauge("ingest_retention_headroom_seconds").set(left_s)
    if unread and left_s < ALARM_S:
        log.error(
            "unread_data_will_be_dropped",
            lane=lane.name,
            path=lane.path,
            in_s=round(left_s),
            unread=unread,
            advice="mend the sink, or enlarge the stream: stream.max_bytes, ingest init --update",
        )


def _fill(state: StreamState, rate: float) -> StreamFill:
    return StreamFill(
        first_seq=state.first_seq,
        last_seq=state.last_seq,
        messages=state.messages,
        bytes=state.bytes,
        max_age_s=state.max_age_s,
        max_bytes=state.max_bytes,
        max_messages=state.max_messages,
        discards_old=state.discards_old,
        rate=rate,
    )
