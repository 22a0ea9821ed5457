"""NATS protocol frames from a byte stream, many at a time.

Only what a pull inbox can receive is told apart: messages with and without headers, status frames
(headers without a reply subject), PING, INFO, -ERR; +OK and PONG are passed over. Any split of the
byte stream gives the same frames. Source: docs.nats.io, "NATS Client Protocol".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from ingest.frame_spans import NO_PLACES, Spans, uniform

_MSG = re.compile(rb"MSG (\S+) \S+ (?:(\S+) )?(\d+)\r\n")
_HMSG = re.compile(rb"HMSG (\S+) \S+ (?:(\S+) )?(\d+) (\d+)\r\n")
_LINE = re.compile(rb"([^\r\n]*)\r\n")
LONGEST_LINE = 64 << 10
"""No control line is longer; INFO is the longest and grows with the size of a cluster."""


LEAST_UNIFORM = 32 << 10
"""Bytes of a piece below which its frames are sooner parsed one by one."""


class FrameError(Exception):
    """The byte stream is not the NATS protocol; the connection cannot go on."""


@dataclass(slots=True)
class Frames:
    """What one piece of the byte stream completed.

    ``messages`` are in order of arrival. ``statuses`` are the headers of status frames; ``lines``
    are INFO and -ERR lines.
    """

    messages: Spans
    statuses: list[dict[str, str]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    pings: int = 0
    pongs: int = 0


class FrameParser:
    """Takes bytes as they come; keeps what is not whole yet."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._size = 0
        self._needed = 0

    def feed(self, data: bytes) -> Frames:
        """Frames completed by ``data``. Raises FrameError."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return Frames(Spans.nothing())
        buffer = b"".join(self._waiting) if len(self._waiting) > 1 else data
        places = uniform(buffer) if len(buffer) > LEAST_UNIFORM else None
        frames = Frames(Spans(buffer, NO_PLACES if places is None else places))
        used = self._parse(buffer, frames)
        rest = buffer[used:]
        self._waiting, self._size = ([rest] if rest else []), len(rest)
        return frames

    def _parse(self, buffer: bytes, frames: Frames) -> int:
        """Parses all whole frames behind those known; returns where the first unfinished starts."""
        length = len(buffer)
        self._needed = 0
        match_msg = _MSG.match
        known = frames.messages.places
        position = int(known[-1, -1]) + 2 if len(known) else 0
        single: list[tuple[int, ...]] = []
        while position < length:
            found = match_msg(buffer, position)
            if found is None:
                after = self._parse_other(buffer, position, frames, single)
                if after == position:
                    break
                position = after
                continue
            start = found.end()
            end = start + int(found[3])
            if end + 2 > length:
                self._needed = end + 2 - position
                break
            reply = found.span(2) if found[2] else (found.end(1), found.end(1))
            single.append((*found.span(1), *reply, start, end))
            position = end + 2
        if single:
            places = np.concatenate((known, np.array(single, np.int64)))
            frames.messages = Spans(buffer, places)
        return position

    def _parse_other(
        self, buffer: bytes, position: int, frames: Frames, single: list[tuple[int, ...]]
    ) -> int:
        """One frame that is no plain message; the same position when it is not whole."""
        found = _HMSG.match(buffer, position)
        if found is not None:
            return self._headed(buffer, position, found, frames, single)
        line = _LINE.match(buffer, position)
        if line is None:
            if len(buffer) - position > LONGEST_LINE:
                raise FrameError("a control line without an end")
            return position
        text = line[1]
        if text == b"PING":
            frames.pings += 1
        elif text == b"PONG":
            frames.pongs += 1
        elif text.startswith((b"INFO", b"-ERR")):
            frames.lines.append(text)
        elif text != b"+OK":
            raise FrameError(f"not a frame of the NATS protocol: {text[:80]!r}")
        return line.end()

    def _headed(
        self,
        buffer: bytes,
        position: int,
        found: re.Match[bytes],
        frames: Frames,
        single: list[tuple[int, ...]],
    ) -> int:
        start, head, total = found.end(), int(found[3]), int(found[4])
        end = start + total
        if head > total:
            raise FrameError(f"a header of {head} bytes in a frame of {total}")
        if end + 2 > len(buffer):
            self._needed = end + 2 - position
            return position
        if found[2] is None:
            frames.statuses.append(parse_headers(buffer[start : start + head]))
        else:
            single.append((*found.span(1), *found.span(2), start + head, end))
        return end + 2


def parse_headers(block: bytes) -> dict[str, str]:
    """A header block as a dictionary; the status line becomes ``Status`` and ``Description``."""
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    headers = {}
    status = first.removeprefix("NATS/1.0").strip()
    if status:
        code, _, description = status.partition(" ")
        headers["Status"], headers["Description"] = code, description.strip()
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    return headers
