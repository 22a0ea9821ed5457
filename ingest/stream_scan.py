"""Reads what a stream holds on some subjects now, once, from a sequence on."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from ingest.errors import StreamConfigError, StreamUnavailableError
from ingest.nats_link import NatsLink
from ingest.stream_info import JS_NO_MESSAGE_FOUND

BATCH = 500
INACTIVE_S = 30


@dataclass(frozen=True)
class LastMessage:
    """The last message on a subject; ``headers`` has the first value of each name."""

    sequence: int
    headers: dict[str, str]
    payload: bytes


async def last_on(link: NatsLink, stream: str, subject: str) -> LastMessage | None:
    """The last message on a subject, None when there is none. Raises StreamUnavailableError."""
    try:
        answer = await link.api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
    except NotFoundError:
        return None
    except APIError as error:
        if error.err_code == JS_NO_MESSAGE_FOUND:
            return None
        raise
    found = answer["message"]
    return LastMessage(
        found["seq"],
        _headers(base64.b64decode(found.get("hdrs", ""))),
        base64.b64decode(found.get("data", "")),
    )


async def scan(
    link: NatsLink, stream: str, subject: str, *, start_seq: int, headers_only: bool
) -> AsyncIterator[Msg]:
    """Messages of ``subject`` (wildcards allowed) that the stream holds at the call, in order.

    With ``headers_only`` payloads are empty and header ``Nats-Msg-Size`` tells their bytes.
    Raises StreamConfigError when there is no such stream, StreamUnavailableError.
    """
    name = f"scan-{secrets.token_hex(6)}"
    config = {
        "name": name,
        "ack_policy": "none",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": max(start_seq, 1),
        "filter_subject": subject,
        "headers_only": headers_only,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": INACTIVE_S * 1_000_000_000,
    }
    try:
        made = await link.api(
            f"CONSUMER.CREATE.{stream}.{name}.{subject}", {"stream_name": stream, "config": config}
        )
    except NotFoundError as error:
        raise StreamConfigError(
            f"NATS has no stream {stream!r}; run `ingest init` first"
        ) from error
    left = int(made["num_pending"])
    pulls = await link.available(lambda: link.js.pull_subscribe_bind(consumer=name, stream=stream))
    try:
        while left > 0:
            messages = await _fetch(link, pulls, min(left, BATCH))
            if not messages:
                return  # removed between the call and now
            for message in messages:
                left -= 1
                yield message
    finally:
        with contextlib.suppress(StreamUnavailableError, NotFoundError):
            await link.available(pulls.unsubscribe)
            await link.api(f"CONSUMER.DELETE.{stream}.{name}")


async def _fetch(link: NatsLink, pulls: JetStreamContext.PullSubscription, count: int) -> list[Msg]:
    """The next messages; none when the stream holds no more of them."""
    try:
        return await pulls.fetch(count, timeout=link.request_timeout_s)
    except NatsTimeoutError:
        pending = (await link.available(pulls.consumer_info)).num_pending
    if pending:
        raise StreamUnavailableError("NATS stopped sending messages of a scan")
    return []


def _headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip(), value.strip())
    return headers
