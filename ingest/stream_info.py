"""What the server says of a stream, and the look-up of one message by its sequence."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime

from nats.js.errors import APIError, NotFoundError

from ingest.errors import StreamConfigError
from ingest.nats_link import NatsLink

JS_NO_MESSAGE_FOUND = 10037


@dataclass(frozen=True, slots=True)
class StreamState:
    """State of a stream at one moment.

    ``created`` is the server's RFC 3339 text. An empty stream has ``first_seq == last_seq + 1``.
    """

    created: str
    first_seq: int
    last_seq: int
    messages: int
    bytes: int
    max_age_s: float
    max_bytes: int
    max_messages: int
    discards_old: bool
    deleted: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as the stream holds it."""

    sequence: int
    stored_at_ns: int
    subject: str
    payload: bytes


async def stream_state(link: NatsLink, stream: str) -> StreamState:
    """State of a stream. Raises StreamConfigError when it does not exist."""
    try:
        info = await link.api(f"STREAM.INFO.{stream}", {})
    except NotFoundError as error:
        raise StreamConfigError(
            f"NATS has no stream {stream!r}; run `ingest init` first"
        ) from error
    state, config = info["state"], info["config"]
    return StreamState(
        created=info["created"],
        first_seq=state["first_seq"],
        last_seq=state["last_seq"],
        messages=state["messages"],
        bytes=state["bytes"],
        max_age_s=config["max_age"] / 1e9,
        max_bytes=config["max_bytes"],
        max_messages=config.get("max_msgs", -1),
        discards_old=config.get("discard", "old") == "old",
        deleted=state.get("num_deleted", 0),
    )


async def message_at(link: NatsLink, stream: str, sequence: int) -> StoredMessage | None:
    """The message of exactly that sequence, or None when the stream does not hold it.

    Sequence 0, before the first message of a stream made anew, is no error.
    """
    return await _get(link, stream, {"seq": sequence}) if sequence > 0 else None


async def message_from(link: NatsLink, stream: str, sequence: int) -> StoredMessage | None:
    """The first message at or above that sequence, or None when there is none."""
    return await _get(link, stream, {"seq": sequence, "next_by_subj": ">"})


async def _get(link: NatsLink, stream: str, request: dict[str, object]) -> StoredMessage | None:
    try:
        found = (await link.api(f"STREAM.MSG.GET.{stream}", request))["message"]
    except NotFoundError:
        return None
    except APIError as error:
        if error.err_code == JS_NO_MESSAGE_FOUND:
            return None
        raise
    return StoredMessage(
        sequence=found["seq"],
        stored_at_ns=nanoseconds(found["time"]),
        subject=found["subject"],
        payload=base64.b64decode(found.get("data", "")),
    )


def nanoseconds(text: str) -> int:
    """Nanoseconds since the Unix epoch of the server's RFC 3339 text (any number of decimals)."""
    body, zone = (text[:-1], "+00:00") if text.endswith("Z") else (text[:-6], text[-6:])
    whole, _, fraction = body.partition(".")
    seconds = int(datetime.fromisoformat(whole + zone).timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
