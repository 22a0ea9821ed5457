"""Rows cut out of the bytes of payloads that have one shape.

The places of the quotes in a payload tell where each value would have to begin and end if the
payload had the shape. That the text between those places is the shape's, to the byte, proves that
it has: a value between quotes then holds no quote, and the payload holds no escape and no control
character; what a value without quotes may be, its column says. So nothing is assumed of what stands
in a value. What does not fit is left to the plain decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.json_shape import Shape
from ingest.marked_payloads import MarkedPayloads

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int32]

_OPEN, _CLOSE = b"[]"


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of one shape: ``segments`` are text and value in turn, and what is between two rows.

    ``payloads`` int64: for each row, the payload that it stands in; ascending.
    """

    segments: pa.StringArray
    payloads: Int64Array
    stride: int

    def __len__(self) -> int:
        return len(self.payloads)

    def values(self, holes: Sequence[int]) -> pa.StringArray:
        """The texts in the holes: all of the first row, then all of the second."""
        return self._taken(np.array(holes) * 2 + 1)

    def texts(self) -> pa.StringArray:
        """What stands around the values."""
        return self._taken(np.arange(0, self.stride - 1, 2))

    def gaps(self) -> pa.StringArray:
        """What stands behind each row before the next one."""
        return self._taken(np.array([self.stride - 1]))

    def _taken(self, columns: Int64Array) -> pa.StringArray:
        starts = np.arange(0, len(self) * self.stride, self.stride)
        places = starts + columns if len(columns) == 1 else (starts[:, None] + columns).ravel()
        return pc.take(self.segments, pa.array(places), boundscheck=False)


class Cutter:
    """Cuts payloads of one shape: single objects, or arrays of objects."""

    def __init__(self, shape: Shape, max_rows: int) -> None:
        self._shape = shape
        self._max_rows = max_rows
        self._lengths = np.array([len(text) for text in shape.literals])
        self._text = b"".join(shape.literals)
        self._quotes = self._text.count(b'"')
        self._places = _places(shape)

    def cut(self, marked: MarkedPayloads, among: Int64Array) -> Cut | None:
        """The rows of those payloads ``among`` these that fit, whole payloads; None for none."""
        counts = marked.quotes_of(among)
        rows, odd = np.divmod(counts, self._quotes)
        fits = (odd == 0) & (rows > 0) & marked.plain[among]
        fits &= rows <= self._max_rows if self._shape.in_array else rows == 1
        chosen, rows = among[fits], rows[fits]
        if not len(chosen):
            return None
        owners = np.repeat(np.arange(len(chosen)), rows)
        table, good = self._table(marked, chosen, rows)
        while True:
            if not good.all():
                whole = np.bincount(owners[~good], minlength=len(chosen)) == 0
                table, owners = table[whole[owners]], owners[whole[owners]]
            if not len(table):
                return None
            cut = self._cut(marked, table, chosen[owners])
            good = self._fitting_texts(cut)
            if good.all():
                return cut

    def _table(
        self, marked: MarkedPayloads, chosen: Int64Array, rows: Int64Array
    ) -> tuple[Offsets, BoolArray]:
        """For each row where it begins, where text and value begin in turn, and where it ends.

        ``rows`` is the number of rows in each chosen payload. Also which rows have all texts as
        long as the shape's, and begin with their payload if they are its first.
        """
        shape = self._shape
        edge = 1 if shape.in_array else 0
        lasts = np.cumsum(rows) - 1
        firsts = lasts - rows + 1
        nth = np.arange(lasts[-1] + 1) - np.repeat(firsts, rows)
        quotes = np.repeat(marked.first_quotes[chosen], rows) + nth * self._quotes
        table = np.empty((len(quotes), 2 * len(self._lengths)), np.int64)
        table[:, 0] = marked.quotes[quotes] - shape.literals[0].index(b'"')
        table[:-1, -1] = table[1:, 0] - len(shape.separator)
        table[lasts, -1] = marked.ends[chosen] - edge
        for column, (quote, shift) in enumerate(self._places, 1):
            table[:, column] = (
                table[:, -1] if quote < 0 else marked.quotes[quotes + quote]
            ) + shift
        lengths = np.diff(table, axis=1)
        good = (lengths[:, 0::2] == self._lengths).all(axis=1) & (lengths[:, 1::2] >= 0).all(axis=1)
        good[firsts] &= table[firsts, 0] == marked.starts[chosen] + edge
        if shape.in_array:
            codes = marked.codes
            opened = codes[marked.starts[chosen]] == _OPEN
            good[firsts] &= opened & (codes[marked.ends[chosen] - 1] == _CLOSE)
        return table.astype(np.int32), good

    def _cut(self, marked: MarkedPayloads, table: Offsets, owners: Int64Array) -> Cut:
        offsets = np.append(table.ravel(), table[-1, -1])
        segments = pa.StringArray.from_buffers(
            len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(marked.data)
        )
        return Cut(segments, owners, table.shape[1])

    def _fitting_texts(self, cut: Cut) -> BoolArray:
        """Rows with the shape's texts around the values, and its separator before the next row."""
        good = np.ones(len(cut), np.bool_)
        texts = cut.texts()
        expected = pa.py_buffer(self._text * len(cut))
        if not texts.buffers()[2].slice(0, expected.size).equals(expected):
            for column, text in enumerate(self._shape.literals):
                places = np.arange(column, len(texts), len(self._lengths))
                some = pc.take(texts, pa.array(places))
                good &= pc.equal(some, text.decode()).to_numpy(zero_copy_only=False)
        if self._shape.in_array:
            same = pc.equal(cut.gaps(), self._shape.separator.decode())
            last = np.diff(cut.payloads, append=-1) != 0
            good &= same.to_numpy(zero_copy_only=False) | last
        return good


def _places(shape: Shape) -> list[tuple[int, int]]:
    """For the start and the end of each hole: the quote that tells it, and how far that is away.

    The quote is -1 where only the end of the row tells.
    """
    places = []
    seen = 0
    for before, after in zip(shape.literals[:-1], shape.literals[1:], strict=True):
        seen += before.count(b'"')
        places.append((seen - 1, len(before) - before.rindex(b'"')))
        if b'"' in after:
            places.append((seen, -after.index(b'"')))
        else:
            places.append((-1, -len(after)))
    return places
