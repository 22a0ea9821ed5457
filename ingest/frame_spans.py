"""Messages of a piece of the byte stream, by the places of their parts; no object for each.

Most reads of the socket hold nothing but messages of one simple form: the same number of line
breaks in each, none of them in the payload. So the line breaks are where frames can end. That the
length that each control line tells is the distance to its end proves, from the first frame on, that
they do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.payloads import texts_at

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NO_PLACES = np.empty((0, 6), np.int64)

_FIRST = re.compile(rb"(H?)MSG \S+ \S+ \S+ (?:(\d+) )?(\d+)\r\n")
_CARRIAGE_RETURN, _LINE_FEED, _BLANK = b"\r\n "


@dataclass(frozen=True, slots=True)
class Spans:
    """Messages in ``buffer``, of which a line end stands behind each payload.

    ``places`` is int64, six a message: where subject, reply subject and payload begin and end.
    """

    buffer: bytes
    places: Int64Array

    @classmethod
    def nothing(cls) -> Spans:
        """No messages."""
        return cls(b"", NO_PLACES)

    @classmethod
    def of(
        cls, subjects: Sequence[bytes], replies: Sequence[bytes], payloads: Sequence[bytes]
    ) -> Spans:
        """Messages that are objects already."""
        parts = [
            part
            for one in zip(subjects, replies, payloads, strict=True)
            for part in (*one, b"\r\n")
        ]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts)).reshape(-1, 4)
        ends = np.cumsum(lengths).reshape(-1, 4)
        places = np.stack((ends - lengths, ends), axis=2)[:, :3].reshape(-1, 6)
        return cls(b"".join(parts), places)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def payload_bytes(self) -> int:
        """Bytes of all payloads."""
        return int((self.places[:, 5] - self.places[:, 4]).sum())

    @property
    def subjects(self) -> list[bytes]:
        """Each subject."""
        return self._parts(0)

    @property
    def replies(self) -> list[bytes]:
        """Each reply subject; empty when there is none."""
        return self._parts(2)

    @property
    def payloads(self) -> list[bytes]:
        """Each payload."""
        return self._parts(4)

    def _parts(self, column: int) -> list[bytes]:
        bounds = self.places[:, column : column + 2].tolist()
        return [self.buffer[start:end] for start, end in bounds]


def uniform(buffer: bytes) -> Int64Array | None:
    """Places of the whole messages at the start of ``buffer``, as in Spans.

    None unless all of them have the form of the first.
    """
    first = _FIRST.match(buffer)
    if first is None:
        return None
    headed, header = first[1] == b"H", first[2] is not None
    end = first.end() + int(first[3]) + 2
    stride = buffer.count(b"\r", 0, end)
    if headed is not header or end > len(buffer) or stride < 2:
        return None
    codes = np.frombuffer(buffer, np.uint8)
    returns = np.flatnonzero(codes[:-1] == _CARRIAGE_RETURN)
    count = len(returns) // stride
    breaks = returns[: count * stride].reshape(count, stride)
    if (codes[breaks.ravel() + 1] != _LINE_FEED).any():
        return None
    heads_from = np.concatenate((np.zeros(1, np.int64), breaks[:-1, -1] + 2))
    heads_to, ends = breaks[:, 0], breaks[:, -1]
    heads = texts_at(buffer, heads_from, heads_to)
    blanks = _blanks(heads, 5 if headed else 4)
    if blanks is None or not _begin_with(heads, b"HMSG " if headed else b"MSG ", blanks):
        return None
    blanks += (heads_from - _starts(heads))[:, None]
    payloads_from = breaks[:, -2] + 2
    sizes = [(blanks[:, -1] + 1, heads_to, ends - heads_to - 2)]
    if headed:
        sizes.append((blanks[:, 3] + 1, blanks[:, 4], payloads_from - heads_to - 2))
    if not all(_are(buffer, *one) for one in sizes):
        return None
    subject = (blanks[:, 0] + 1, blanks[:, 1])
    reply = (blanks[:, 2] + 1, blanks[:, 3])
    return np.stack((*subject, *reply, payloads_from, ends), axis=1)


def _blanks(heads: pa.BinaryArray, each: int) -> Int64Array | None:
    """Where the blanks of each control line stand in the lines' bytes; None unless so many each."""
    codes = np.frombuffer(heads.buffers()[2], np.uint8)
    found = np.flatnonzero(codes <= _BLANK)
    starts = _starts(heads)
    if len(found) != each * len(starts) or (codes[found] != _BLANK).any():
        return None
    blanks = found.reshape(-1, each)
    inside = (blanks[:, 0] >= starts).all() and (blanks[:-1, -1] < starts[1:]).all()
    return blanks if inside else None


def _begin_with(heads: pa.BinaryArray, name: bytes, blanks: Int64Array) -> bool:
    """Whether each control line begins with the name, and its first blank is the name's."""
    if (blanks[:, 0] - _starts(heads) != len(name) - 1).any():
        return False
    return bool(pc.all(pc.starts_with(heads, name)).as_py())


def _are(buffer: bytes, starts: Int64Array, ends: Int64Array, expected: Int64Array) -> bool:
    """Whether the texts between the places are these numbers in decimal."""
    if (ends <= starts).any():
        return False
    try:
        found = pc.cast(texts_at(buffer, starts, ends).cast(pa.string()), pa.int64())
    except pa.ArrowInvalid:
        return False
    return bool((found.to_numpy() == expected).all())


def _starts(texts: pa.BinaryArray) -> Int64Array:
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts))
    return offsets.astype(np.int64)
