"""Columns straight from the bytes of many payloads that share one shape.

The payloads are joined. The places of the quotes tell where each value would have to begin and end
if every payload had the shape. That the text between those places is the shape's, to the byte,
proves that they have it: a value between quotes then holds no quote, and the whole holds no escape
and no control character; what a value without quotes may be, its column says. Nothing is assumed
of what stands in a value, and no payload can lend a part of itself to its neighbour, since the text
between two payloads is compared as well. What does not fit is left to the plain decoder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.json_shape import Shape, is_utf8
from ingest.payloads import LINE_END, Payloads

Int64Array = npt.NDArray[np.int64]
Offsets = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]

_QUOTE, _SPACE = b'" '
_PLAIN = re.compile(rb"[^\x00-\x1f\\]+")


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of one shape: ``segments`` are text and value in turn, row by row.

    ``payloads`` int64: for each row, the payload that it stands in.
    """

    segments: pa.StringArray
    payloads: Int64Array
    stride: int

    def __len__(self) -> int:
        return len(self.payloads)

    def values(self, holes: Sequence[int]) -> pa.StringArray:
        """The texts in the holes: all of the first row, then all of the second."""
        starts = np.arange(0, len(self) * self.stride, self.stride)
        if len(holes) == 1:
            places = starts + (2 * holes[0] + 1)
        else:
            places = (starts[:, None] + (2 * np.array(holes) + 1)).ravel()
        return pc.take(self.segments, pa.array(places), boundscheck=False)


class Cutter:
    """Cuts payloads of one shape: single objects, or arrays of objects."""

    def __init__(self, shape: Shape, *, max_bytes: int, max_rows: int) -> None:
        first, last = shape.literals[0], shape.literals[-1]
        self._arrays = shape.in_array
        self._max_bytes = max_bytes
        self._max_rows = max_rows
        self._first, self._last = first, last
        self._separator = shape.separator
        self._between = last + self._separator + first
        self._texts = [self._between, *shape.literals[1:-1]]
        self._quotes = sum(text.count(b'"') for text in shape.literals)
        self._places = _places(shape, self._between)

    def cut(self, payloads: Payloads) -> tuple[Cut, Int64Array] | None:
        """The rows of the payloads that fit, and which these are; None when none fits."""
        chosen = np.arange(len(payloads))
        filtered = False
        while len(chosen):
            some = payloads if len(chosen) == len(payloads) else payloads.take(chosen)
            found = self._try(some)
            if isinstance(found, Cut):
                return found, chosen
            if not filtered:
                found, filtered = self._ordinary(some), True
            if found is None or found.all():
                return None
            chosen = chosen[found]
        return None

    def _try(self, payloads: Payloads) -> Cut | BoolArray | None:
        """The cut if every payload fits, else which may fit; None says nothing of them."""
        if payloads.longest > self._max_bytes:
            return None
        if self._arrays:
            inner = [one[1:-1] for one in payloads if one[:1] == b"[" and one[-1:] == b"]"]
            if len(inner) < len(payloads):
                return None
            starts = _starts(inner, len(self._last), len(self._separator))
            whole = self._separator.join([self._last, *inner, self._first])
        else:
            starts = None
            whole = b"".join((self._last, self._separator, payloads.joined, self._first))
        if not self._printable(whole, payloads):
            return None
        quotes = np.flatnonzero(np.frombuffer(whole, np.uint8) == _QUOTE).astype(np.int32)
        quotes = quotes[self._last.count(b'"') :]
        rows, odd = divmod(len(quotes) - self._first.count(b'"'), self._quotes)
        if odd or rows < len(payloads) or (rows > len(payloads) and not self._arrays):
            return None
        offsets = self._offsets(quotes, rows, len(whole))
        owners = self._owners(starts, quotes, rows)
        wrong = self._wrong_lengths(offsets, rows)
        if not wrong.any():
            segments = pa.StringArray.from_buffers(
                len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(whole)
            )
            wrong = self._wrong_texts(segments, rows)
            if not wrong.any():
                wrong = self._wrong_owners(starts, offsets, owners)
                if not wrong.any():
                    return Cut(segments, owners, 2 * len(self._texts))
        fits = np.ones(len(payloads), np.bool_)
        fits[owners[wrong]] = False
        return fits

    def _ordinary(self, payloads: Payloads) -> BoolArray:
        """Which payloads may have the shape, looked at one by one."""
        begin = b"[" + self._first if self._arrays else self._first
        end = self._last + b"]" if self._arrays else self._last
        quotes, most, plain = self._quotes, self._max_bytes, _PLAIN.fullmatch
        fits = [
            one.startswith(begin)
            and one.endswith(end)
            and len(one) <= most
            and self._has(one.count(b'"'), quotes)
            and plain(one) is not None
            and is_utf8(one)
            for one in payloads
        ]
        return np.array(fits)

    def _has(self, found: int, quotes: int) -> bool:
        return found % quotes == 0 if self._arrays else found == quotes

    def _printable(self, whole: bytes, payloads: Payloads) -> bool:
        """No escape, no control character but between payloads, nothing but UTF-8."""
        if b"\\" in whole or not is_utf8(whole):
            return False
        controls = np.count_nonzero(np.frombuffer(whole, np.uint8) < _SPACE)
        between = 0 if self._arrays else len(LINE_END) * (len(payloads) + 1)
        return bool(controls == between)

    def _offsets(self, quotes: Offsets, rows: int, end: int) -> Offsets:
        """Where text and value begin in turn, in bytes, if every row has the shape."""
        offsets = np.empty(2 * len(self._texts) * rows + 2, np.int32)
        offsets[0], offsets[-1] = 0, end
        table = offsets[1:-1].reshape(rows, 2 * len(self._texts))
        for column, (quote, shift) in enumerate(self._places):
            np.add(quotes[quote :: self._quotes][:rows], shift, out=table[:, column])
        return offsets

    def _wrong_lengths(self, offsets: Offsets, rows: int) -> BoolArray:
        """Rows whose texts are not as long as the shape's, or with a value of negative length."""
        lengths = np.diff(offsets)
        table = lengths[:-1].reshape(rows, -1)
        expected = np.array([len(text) for text in self._texts])
        wrong = (table[:, 0::2] != expected).any(axis=1) | (table[:, 1::2] < 0).any(axis=1)
        if lengths[-1] != expected[0]:
            wrong[-1] = True
        # The text before a row stands behind the one above it.
        wrong[:-1] |= table[1:, 0] != expected[0]
        return np.asarray(wrong)

    def _wrong_texts(self, segments: pa.StringArray, rows: int) -> BoolArray:
        """Rows with a text between values that is not the shape's."""
        stride = len(self._texts)
        places = pa.array(np.arange(0, 2 * stride * rows + 1, 2))
        texts = pc.take(segments, places, boundscheck=False)
        expected = b"".join(self._texts) * rows + self._between
        if texts.buffers()[2].slice(0, len(expected)).equals(pa.py_buffer(expected)):
            return np.zeros(rows, np.bool_)
        wrong = np.zeros(rows + 1, np.bool_)
        for column, text in enumerate(self._texts):
            some = pc.take(texts, pa.array(np.arange(column, len(texts), stride)))
            differs = pc.not_equal(some, text.decode()).to_numpy(zero_copy_only=False)
            wrong[: len(differs)] |= differs
            if column == 0:
                wrong[:-1] |= differs[1:]
        return wrong[:-1]

    def _owners(self, starts: Int64Array | None, quotes: Offsets, rows: int) -> Int64Array:
        """The payload in which each row's first quote stands."""
        if starts is None:
            return np.arange(rows)
        return np.searchsorted(starts, quotes[:: self._quotes][:rows], side="right") - 1

    def _wrong_owners(
        self, starts: Int64Array | None, offsets: Offsets, owners: Int64Array
    ) -> BoolArray:
        """Rows of payloads that do not begin and end with a row, or have too many of them.

        ``starts`` is where each payload begins; None where a row is a payload.
        """
        if starts is None:
            return np.zeros(len(owners), np.bool_)
        row_starts = offsets[1 : -1 : 2 * len(self._texts)] - len(self._first)
        begins = np.isin(starts, row_starts)
        sound = begins & (np.bincount(owners, minlength=len(starts)) <= self._max_rows)
        sound[:-1] &= begins[1:]
        return np.asarray(~sound[owners])


def _starts(payloads: list[bytes], before: int, apart: int) -> Int64Array:
    """Where each payload begins when they are joined with so many bytes before and between."""
    lengths = np.fromiter(map(len, payloads), np.int64, len(payloads)) + apart
    return np.asarray(np.cumsum(lengths) - lengths + before + apart)


def _places(shape: Shape, between: bytes) -> list[tuple[int, int]]:
    """For the start and the end of each hole: the quote that tells it, and how far that is away."""
    places = []
    seen = 0
    following = [*shape.literals[1:-1], between]
    for before, after in zip(shape.literals[:-1], following, strict=True):
        seen += before.count(b'"')
        places.append((seen - 1, len(before) - before.rindex(b'"')))
        places.append((seen, -after.index(b'"')))
    return places
