"""The streams that a run's messages may be in, and which of its messages they hold.

The stream that takes a subject is lane 0 of its contract. The server may map a part of the subjects
to further lanes, streams that take ``lanes.<stream of lane 0>.>``. The sender sees nothing of the
mapping but the stream's name in each acknowledgement, and is not told when it changes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence

from ingest.lanes import PREFIX
from simulator.errors import PublishRefusedError
from simulator.manifest import ManifestBuilder
from simulator.readback import (
    StreamState,
    find_stored,
    settle_queue,
    stream_names,
    stream_state,
)
from simulator.transports import Connection, Settle
from simulator.window import Ack, Window


class Lanes:
    """What is known of the lanes; ``settle`` gets the messages that a look-up finds stored."""

    def __init__(
        self, window: Window, builder: ManifestBuilder, settle: Settle, timeout_s: float
    ) -> None:
        self._window = window
        self._builder = builder
        self._settle = settle
        self._timeout_s = timeout_s
        self._states: list[StreamState] = []

    async def look(self, connection: Connection, subject: str) -> None:
        """Learns which streams take ``subject``, mapped or not.

        Raises PublishRefusedError when none does, StreamUnavailableError without an answer.
        """
        names = await stream_names(connection, subject, self._timeout_s)
        if not names:
            raise PublishRefusedError(
                f"no stream takes the subject {subject}: make it first (`ingest init`)"
            )
        mapped = await stream_names(connection, f"{_mapped(names[0])}>", self._timeout_s)
        self._builder.stream = names[0]
        self._states = await self._read_states(connection, list(dict.fromkeys([*names, *mapped])))
        self._window.high = {one.name: one.last_sequence for one in self._states}

    async def settle_stored(
        self, connection: Connection, numbers: Sequence[int]
    ) -> Mapping[str, int] | None:
        """Looks for those of ``numbers`` that the server, asked to store them, may store twice.

        With one lane these are the messages whose ids it may have forgotten. With several it is
        every message that may be stored: the ids are known to one lane only, and the mapping may
        have changed since. Returns for each lane up to which sequence it was searched, None
        when there was no need. Raises StreamUnavailableError without an answer.
        """
        several = len(self._states) > 1
        window_s = min(one.duplicate_window_s for one in self._states)
        before = math.inf if several else time.monotonic() - window_s / 2
        doubtful = self._window.doubtful(numbers, before)
        if not doubtful:
            return None
        if several:
            await self._settle_queues(connection)
        names = [one.name for one in self._states]
        self._states = await self._read_states(connection, names)
        for state in self._states:
            stored = await find_stored(
                connection,
                state,
                run_id=self._builder.origin.run_id,
                beyond=min(sent.floors.get(state.name, 0) for sent in doubtful),
                timeout_s=self._timeout_s,
            )
            stream = state.name.encode()
            self._settle(
                [Ack(b"%d" % one, stream, b"%d" % at, b"duplicate") for one, at in stored.items()]
            )
        return {one.name: one.last_sequence for one in self._states}

    async def _read_states(self, connection: Connection, names: list[str]) -> list[StreamState]:
        return list(
            await asyncio.gather(
                *(stream_state(connection, name, self._timeout_s) for name in names)
            )
        )

    async def _settle_queues(self, connection: Connection) -> None:
        """Waits for the messages that a lane has received and not dealt with yet."""
        prefix = _mapped(self._builder.stream)
        await asyncio.gather(
            *(
                settle_queue(
                    connection, state.name, _concrete(state.subjects, prefix), self._timeout_s
                )
                for state in self._states
                if _concrete(state.subjects, prefix)
            )
        )


def _mapped(stream: str) -> str:
    """What the subjects of messages begin with that are mapped to a lane of ``stream``."""
    return f"{PREFIX}.{stream}."


def _concrete(subjects: Sequence[str], prefix: str) -> str:
    """A subject without wildcards that only this lane takes, and no mapping touches; or nothing."""
    own = next((one for one in subjects if one.startswith(prefix)), "")
    return own.replace("*", "sensor-sim").replace(">", "sensor-sim")
