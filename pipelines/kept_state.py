"""The hot path's state as NATS keeps it: for when no hot writer's metrics can be had."""

from __future__ import annotations

import asyncio
import time

from nats.js.errors import APIError

from ingest.errors import IngestError, StreamUnavailableError
from ingest.hot_entry import peek_entry
from ingest.kept import open_bucket
from ingest.nats_link import NatsLink, connect
from ingest.settings import NatsSettings
from ingest.stream_info import message_from, stream_state
from pipelines.budget import PathSample


def kept_state(settings: NatsSettings, lane: str, timeout_s: float) -> PathSample:
    """Lag of the lane's hot path by its kept entry against the stream's end.

    Lag grows while the hot path is dead and messages arrive, and is 0 when none do. A lane that no
    hot path ever wrote has none to protect: its lag is 0. Raises IngestError.
    """

    async def ask() -> PathSample:
        link = await connect(settings, "iot-budget", patient=False)
        try:
            return await _state(link, lane)
        finally:
            await link.close()

    try:
        return asyncio.run(asyncio.wait_for(ask(), timeout_s))
    except TimeoutError as error:
        raise StreamUnavailableError(f"NATS does not answer within {timeout_s:g} s") from error
    except APIError as error:
        raise IngestError(f"NATS refuses to tell the state of {lane}: {error}") from error


async def _state(link: NatsLink, lane: str) -> PathSample:
    # The entry first: what is stored in between makes the lag look longer, never shorter.
    entry = await peek_entry(await open_bucket(link), lane)
    if entry is None:
        return PathSample(lag_messages=0, lag_s=0.0)
    state = await stream_state(link, lane)
    unread = max(state.last_seq - max(entry.done.sequence, state.first_seq - 1), 0)
    oldest = await message_from(link, lane, entry.done.sequence + 1) if unread else None
    age_s = max(time.time() - oldest.stored_at_ns / 1e9, 0.0) if oldest else 0.0
    return PathSample(lag_messages=unread, lag_s=age_s)
