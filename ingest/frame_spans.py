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

from ingest.payloads import LINE_END

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NO_PLACES = np.empty((0, 6), np.int64)

_FIRST = re.compile(rb"(H?)MSG \S+ \S+ \S+ (?:(\d+) )?(\d+)\r\n")
_CARRIAGE_RETURN, _LINE_FEED, _BLANK = b"\r\n "
_POWERS = 10 ** np.arange(10)


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
    headed = first[1] == b"H"
    end = first.end() + int(first[3]) + 2
    stride = buffer.count(b"\r", 0, end)
    if headed is (first[2] is None) or end > len(buffer) or stride < 2:
        return None
    codes = np.frombuffer(buffer, np.uint8)
    # Blanks of control lines and payloads, and line breaks: what parts of a message end with.
    marks = np.flatnonzero(codes[:-1] <= _BLANK)
    kinds = codes[marks]
    returns = np.flatnonzero(kinds == _CARRIAGE_RETURN)
    count = len(returns) // stride
    breaks = returns[: count * stride].reshape(count, stride)
    ends = marks[breaks]
    if (codes[ends + 1] != _LINE_FEED).any():
        return None
    begins = np.concatenate((np.zeros(1, np.int64), ends[:-1, -1] + len(LINE_END)))
    blanks = _blanks(marks, kinds, breaks, 5 if headed else 4)
    if blanks is None or not _begin_with(b"HMSG " if headed else b"MSG ", codes, begins, blanks):
        return None
    payloads = ends[:, -2] + len(LINE_END)
    whole = ends[:, -1] - ends[:, 0] - len(LINE_END)
    if not _are(codes, blanks[:, -1] + 1, ends[:, 0], whole):
        return None
    header = payloads - ends[:, 0] - len(LINE_END)
    if headed and not _are(codes, blanks[:, 3] + 1, blanks[:, 4], header):
        return None
    subject = (blanks[:, 0] + 1, blanks[:, 1])
    reply = (blanks[:, 2] + 1, blanks[:, 3])
    return np.stack((*subject, *reply, payloads, ends[:, -1]), axis=1)


def _blanks(
    marks: Int64Array, kinds: npt.NDArray[np.uint8], breaks: Int64Array, each: int
) -> Int64Array | None:
    """Where the blanks of each control line stand; None unless it has so many, and no other mark.

    ``breaks`` are the indexes in ``marks`` of each message's line breaks.
    """
    firsts = np.concatenate((np.zeros(1, np.int64), breaks[:-1, -1] + len(LINE_END)))
    if (breaks[:, 0] - firsts != each).any():
        return None
    places = firsts[:, None] + np.arange(each)
    return None if (kinds[places] != _BLANK).any() else marks[places]


def _begin_with(
    name: bytes, codes: npt.NDArray[np.uint8], begins: Int64Array, blanks: Int64Array
) -> bool:
    """Whether each control line begins with the name, and its first blank is the name's."""
    if (blanks[:, 0] - begins != len(name) - 1).any():
        return False
    return all((codes[begins + at] == code).all() for at, code in enumerate(name))


def _are(
    codes: npt.NDArray[np.uint8], starts: Int64Array, ends: Int64Array, expected: Int64Array
) -> bool:
    """Whether the texts between the places are these numbers in decimal, as a server writes it."""
    digits = np.searchsorted(_POWERS, expected, side="right").clip(1)
    if (ends - starts != digits).any():
        return False
    for place in range(int(digits.max())):
        has = digits > place
        found = codes[ends[has] - 1 - place] - ord("0")
        if (found != expected[has] // 10**place % 10).any():
            return False
    return True
