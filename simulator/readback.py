"""Finds out by reading the stream which messages of a run it holds.

The server forgets a message id after the stream's duplicate window. A message that was sent before
an outage longer than that can only be settled by looking: a blind resend would store it twice.
"""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass
from typing import Any

from ingest.errors import StreamUnavailableError
from simulator.errors import PublishRefusedError
from simulator.transports import Connection

REQUESTS_AT_ONCE = 64
_MESSAGE_ID = re.compile(rb"Nats-Msg-Id: ([^\r\n-]+)-(\d+)\r\n")


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream, its duplicate window in seconds, and the sequences that it holds."""

    name: str
    duplicate_window_s: float
    first_sequence: int
    last_sequence: int


async def look_at_stream(connection: Connection, subject: str, timeout_s: float) -> StreamState:
    """The stream that takes ``subject``.

    Raises PublishRefusedError when there is none, StreamUnavailableError without an answer.
    """
    answer = await connection.request("$JS.API.STREAM.NAMES", {"subject": subject}, timeout_s)
    if "error" in answer:
        raise StreamUnavailableError(f"JetStream: {answer['error'].get('description')}")
    names = answer.get("streams")
    if not names:
        raise PublishRefusedError(
            f"no stream takes the subject {subject}: make it first (`ingest init`)"
        )
    return await stream_state(connection, names[0], timeout_s)


async def stream_state(connection: Connection, stream: str, timeout_s: float) -> StreamState:
    """The stream's configuration and state.

    Raises StreamUnavailableError without an answer.
    """
    info = await connection.request(f"$JS.API.STREAM.INFO.{stream}", {}, timeout_s)
    if "error" in info:
        raise StreamUnavailableError(f"stream {stream}: {info['error'].get('description')}")
    return StreamState(
        name=stream,
        duplicate_window_s=info["config"].get("duplicate_window", 0) / 1e9,
        first_sequence=info["state"]["first_seq"],
        last_sequence=info["state"]["last_seq"],
    )


async def find_stored(
    connection: Connection, stream: str, *, run_id: str, beyond: int, timeout_s: float
) -> dict[int, int]:
    """Stream sequence by message number of all the run's messages after sequence ``beyond``.

    Raises StreamUnavailableError when the server does not answer within ``timeout_s`` a request.
    """
    state = await stream_state(connection, stream, timeout_s)
    sequences = range(max(beyond + 1, state.first_sequence), state.last_sequence + 1)
    found: dict[int, int] = {}
    for start in range(0, len(sequences), REQUESTS_AT_ONCE):
        part = sequences[start : start + REQUESTS_AT_ONCE]
        answers = await asyncio.gather(
            *(
                connection.request(f"$JS.API.STREAM.MSG.GET.{stream}", {"seq": one}, timeout_s)
                for one in part
            )
        )
        for sequence, answer in zip(part, answers, strict=True):
            number = _number(answer, run_id)
            if number is not None:
                found[number] = sequence
    return found


def _number(answer: dict[str, Any], run_id: str) -> int | None:
    """Message number in a stored message of this run; None for others and for holes."""
    headers = base64.b64decode(answer.get("message", {}).get("hdrs", ""))
    match = _MESSAGE_ID.search(headers)
    return int(match[2]) if match and match[1].decode() == run_id else None
