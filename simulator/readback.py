"""Finds out by reading a stream which messages of a run it holds.

The server forgets a message id after the stream's duplicate window, and knows nothing of the ids in
other streams. Where either counts, a message of unknown fate can only be settled by looking: a
blind resend would store it twice.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

from ingest.errors import StreamUnavailableError
from simulator.transports import Connection

REQUESTS_AT_ONCE = 64
NO_SUCH_MESSAGE = 10037
_MESSAGE_ID = re.compile(rb"Nats-Msg-Id: ([^\r\n-]+)-(\d+)\r\n")


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream, its duplicate window in seconds, and the sequences that it holds."""

    name: str
    subjects: tuple[str, ...]
    duplicate_window_s: float
    first_sequence: int
    last_sequence: int


async def stream_names(connection: Connection, subject: str, timeout_s: float) -> list[str]:
    """The streams that take messages on ``subject``, wildcards included.

    Raises StreamUnavailableError without an answer.
    """
    answer = await connection.request("$JS.API.STREAM.NAMES", {"subject": subject}, timeout_s)
    if "error" in answer:
        raise StreamUnavailableError(f"JetStream: {answer['error'].get('description')}")
    return answer.get("streams") or []


async def stream_state(connection: Connection, stream: str, timeout_s: float) -> StreamState:
    """The stream's configuration and state.

    Raises StreamUnavailableError without an answer.
    """
    info = await connection.request(f"$JS.API.STREAM.INFO.{stream}", {}, timeout_s)
    if "error" in info:
        raise StreamUnavailableError(f"stream {stream}: {info['error'].get('description')}")
    return StreamState(
        name=stream,
        subjects=tuple(info["config"].get("subjects") or ()),
        duplicate_window_s=info["config"].get("duplicate_window", 0) / 1e9,
        first_sequence=info["state"]["first_seq"],
        last_sequence=info["state"]["last_seq"],
    )


async def settle_queue(connection: Connection, stream: str, subject: str, timeout_s: float) -> None:
    """Waits until the stream has dealt with everything sent to it before on this connection.

    A stream takes messages in their order, so one that it must refuse, and stores nothing of, comes
    back after them. Raises StreamUnavailableError without an answer.
    """
    # No stream is called so: a name has no full stop.
    header = b"NATS/1.0\r\nNats-Expected-Stream: %b.\r\n\r\n" % stream.encode()
    await connection.request(subject, {}, timeout_s, header=header)


async def find_stored(
    connection: Connection, state: StreamState, *, run_id: str, beyond: int, timeout_s: float
) -> dict[int, int]:
    """Stream sequence by message number of all the run's messages after sequence ``beyond``.

    Raises StreamUnavailableError when the server does not answer within ``timeout_s`` a request.
    """
    sequences = range(max(beyond + 1, state.first_sequence), state.last_sequence + 1)
    found: dict[int, int] = {}
    for start in range(0, len(sequences), REQUESTS_AT_ONCE):
        part = sequences[start : start + REQUESTS_AT_ONCE]
        subject = f"$JS.API.STREAM.MSG.GET.{state.name}"
        wanted = [{"seq": one} for one in part]
        answers = await connection.request_all(subject, wanted, timeout_s)
        for sequence, answer in zip(part, answers, strict=True):
            number = _number(state.name, answer, run_id)
            if number is not None:
                found[number] = sequence
    return found


def _number(stream: str, answer: dict[str, Any], run_id: str) -> int | None:
    """Message number in a stored message of this run; None for others and for holes."""
    error = answer.get("error")
    if error and error.get("err_code") != NO_SUCH_MESSAGE:
        raise StreamUnavailableError(f"stream {stream}: {error.get('description')}")
    headers = base64.b64decode(answer.get("message", {}).get("hdrs", ""))
    match = _MESSAGE_ID.search(headers)
    return int(match[2]) if match and match[1].decode() == run_id else None
