"""Does the server spread the messages over the lanes as the settings say? Asked without a trace."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ingest.errors import StreamUnavailableError
from ingest.lanes import PREFIX, Mapping
from ingest.nats_link import NatsLink

PROBES_A_LANE = 8
# No stream can have this name, so JetStream refuses the message and says which stream it is.
NOBODY = {"Nats-Expected-Stream": "."}


async def wrong_mappings(link: NatsLink, needed: Sequence[Mapping]) -> list[str]:
    """A sentence for each mapping that is not in force; nothing is stored by asking.

    Subjects are tried that would go to each of the lanes, against the server's own choice.
    """
    found = []
    for mapping in needed:
        problem = await _problem(link, mapping)
        if problem:
            found.append(problem)
    return found


async def lanes_beyond(link: NatsLink, stream: str, count: int) -> list[str]:
    """Streams that are lanes of the contract, and not among the first ``count``."""
    answer = await link.api("STREAM.NAMES", {"subject": f"{PREFIX}.{stream}.>"})
    ours = {stream, *(f"{stream}_{number}" for number in range(1, count))}
    return sorted(set(answer.get("streams") or []) - ours)


async def _problem(link: NatsLink, mapping: Mapping) -> str:
    for number in range(PROBES_A_LANE * mapping.lanes):
        subject = mapping.example(number)
        lane = mapping.lane_of(subject)
        wanted = f"{mapping.stream}_{lane}" if lane else mapping.stream
        try:
            found = await _taker(link, subject)
        except StreamUnavailableError as error:
            return f"{mapping.source}: cannot be checked, {error}"
        if found != wanted:
            return f"{mapping.source}: {subject} goes to {found or 'no stream'}, not to {wanted}"
    return ""


async def _taker(link: NatsLink, subject: str) -> str:
    """The stream that a message on the subject reaches, empty when there is none."""

    async def ask() -> bytes:
        reply = await link.client.request(
            subject, b"", timeout=link.request_timeout_s, headers=dict(NOBODY)
        )
        return bytes(reply.data)

    answer = json.loads(await link.available(ask) or b"{}")
    return str(answer.get("stream", ""))
