"""NATS protocol frames from a byte stream, many at a time.

Only what a pull inbox can receive is told apart: messages with and without headers, status frames
(headers without a reply subject), PING, INFO, -ERR; +OK and PONG are passed over. Any split of the
byte stream gives the same frames. Source: docs.nats.io, "NATS Client Protocol".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_MSG = re.compile(rb"MSG (\S+) \S+ (?:(\S+) )?(\d+)\r\n")
_HMSG = re.compile(rb"HMSG (\S+) \S+ (?:(\S+) )?(\d+) (\d+)\r\n")
_LINE = re.compile(rb"([^\r\n]*)\r\n")
LONGEST_LINE = 64 << 10
"""No control line is longer; INFO is the longest and grows with the size of a cluster."""


class FrameError(Exception):
    """The byte stream is not the NATS protocol; the connection cannot go on."""


@dataclass(slots=True)
class Frames:
    """What one piece of the byte stream completed.

    ``subjects``, ``replies`` and ``payloads`` are one entry a message, in order of arrival.
    ``statuses`` are the headers of status frames; ``lines`` are INFO and -ERR lines.
    """

    subjects: list[bytes] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
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
        frames = Frames()
        if self._size < self._needed:
            return frames
        buffer = b"".join(self._waiting) if len(self._waiting) > 1 else data
        used = self._parse(buffer, uniform(buffer, frames), frames)
        rest = buffer[used:]
        self._waiting, self._size = ([rest] if rest else []), len(rest)
        return frames

    def _parse(self, buffer: bytes, position: int, frames: Frames) -> int:
        """Parses all whole frames from ``position``; returns where the first unfinished starts."""
        length = len(buffer)
        self._needed = 0
        match_msg = _MSG.match
        subjects, replies, payloads = frames.subjects, frames.replies, frames.payloads
        while position < length:
            found = match_msg(buffer, position)
            if found is None:
                after = self._parse_other(buffer, position, frames)
                if after == position:
                    break
                position = after
                continue
            start = found.end()
            end = start + int(found[3])
            if end + 2 > length:
                self._needed = end + 2 - position
                break
            subjects.append(found[1])
            replies.append(found[2] or b"")
            payloads.append(buffer[start:end])
            position = end + 2
        return position

    def _parse_other(self, buffer: bytes, position: int, frames: Frames) -> int:
        """One frame that is no plain message; the same position when it is not whole."""
        found = _HMSG.match(buffer, position)
        if found is not None:
            return self._headed(buffer, position, found, frames)
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

    def _headed(self, buffer: bytes, position: int, found: re.Match[bytes], frames: Frames) -> int:
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
            frames.subjects.append(found[1])
            frames.replies.append(found[2])
            frames.payloads.append(buffer[start + head : end])
        return end + 2


def uniform(buffer: bytes, frames: Frames) -> int:
    """Takes the messages from the start of ``buffer`` if they are all of one simple shape.

    Most reads of the socket hold nothing but messages without line breaks in them. Cut at the line
    breaks, they are a control line and a payload in turn (with one header in between: five parts a
    message). That the length in each control line equals the length of its part proves, from the
    first frame on, that every cut was a frame's end. Returns how many bytes were taken: 0 unless
    all whole messages of the buffer fit.
    """
    if buffer.startswith(b"MSG "):
        stride, words, name = 2, 5, b"MSG"
    elif buffer.startswith(b"HMSG "):
        stride, words, name = 5, 6, b"HMSG"
    else:
        return 0
    parts = buffer.split(b"\r\n")
    end = (len(parts) - 1) // stride * stride
    heads = parts[0:end:stride]
    if end == 0 or any(head.count(b" ") != words - 1 for head in heads):
        return 0
    tokens = b" ".join(heads).split(b" ")
    payloads = parts[stride - 1 : end : stride]
    sizes = [len(payload) for payload in payloads]
    if stride == 5:
        blocks = zip(parts[1:end:5], parts[2:end:5], parts[3:end:5], strict=True)
        headers = [len(a) + len(b) + len(c) + 6 for a, b, c in blocks]
        if tokens[4::6] != [b"%d" % size for size in headers]:
            return 0
        sizes = [size + header for size, header in zip(sizes, headers, strict=True)]
    if tokens[0::words].count(name) != len(heads):
        return 0
    if tokens[words - 1 :: words] != [b"%d" % size for size in sizes]:
        return 0
    frames.subjects += tokens[1::words]
    frames.replies += tokens[3::words]
    frames.payloads += payloads
    rest = parts[end:]
    return len(buffer) - sum(map(len, rest)) - 2 * (len(rest) - 1)


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
