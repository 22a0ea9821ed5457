"""Payloads and subjects of many messages in one buffer each, cut into objects only when asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Int64Array = npt.NDArray[np.int64]

LINE_END = b"\r\n"


class Payloads(Sequence[bytes]):
    """Payloads one behind the other, each followed by a line end.

    Payload ``i`` begins at ``starts[i]`` of ``data`` and ends two bytes before ``starts[i + 1]``.
    """

    __slots__ = ("_data", "_starts")

    def __init__(self, data: bytes | pa.Buffer, starts: Int64Array) -> None:
        self._data = memoryview(data)
        self._starts = starts

    @classmethod
    def of(cls, payloads: Sequence[bytes]) -> Payloads:
        """The payloads of a list; themselves when they are such already."""
        if isinstance(payloads, Payloads):
            return payloads
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads)) + len(LINE_END)
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
        return cls(LINE_END.join([*payloads, b""]), starts)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> Payloads: ...

    def __getitem__(self, at: int | slice) -> bytes | Payloads:
        if isinstance(at, slice):
            first, last, _ = at.indices(len(self))
            return Payloads(self._data, self._starts[first : max(first, last) + 1])
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        at %= len(self)
        return bytes(self._data[self._starts[at] : self._starts[at + 1] - len(LINE_END)])

    def __iter__(self) -> Iterator[bytes]:
        bounds = self._starts.tolist()
        data, gap = self._data, len(LINE_END)
        for start, end in pairwise(bounds):
            yield bytes(data[start : end - gap])

    @property
    def size(self) -> int:
        """Bytes of all payloads and their line ends."""
        return int(self._starts[-1] - self._starts[0])

    @property
    def bounds(self) -> Int64Array:
        """Where each payload begins in `joined`, and where the last one's line end ends."""
        bounds: Int64Array = self._starts - self._starts[0]
        return bounds

    @property
    def first_bytes(self) -> npt.NDArray[np.uint8]:
        """The first byte of each payload; of an empty one that of its line end."""
        codes = np.frombuffer(self._data, np.uint8)
        return codes[self._starts[:-1]]

    @property
    def joined(self) -> memoryview:
        """All payloads, each followed by a line end."""
        return self._data[self._starts[0] : self._starts[-1]]


class Subjects(Sequence[str]):
    """Subjects of messages; bytes that are no UTF-8, which a server lets pass, are replaced."""

    __slots__ = ("_texts",)

    def __init__(self, texts: pa.BinaryArray) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> Subjects: ...

    def __getitem__(self, at: int | slice) -> str | Subjects:
        if isinstance(at, slice):
            first, last, _ = at.indices(len(self))
            return Subjects(self._texts.slice(first, max(0, last - first)))
        return str(self._texts[at].as_py(), "utf-8", "replace")

    def __iter__(self) -> Iterator[str]:
        for text in self._texts.to_pylist():
            yield str(text, "utf-8", "replace")


def taken(buffer: bytes | memoryview, starts: Int64Array, ends: Int64Array) -> Payloads:
    """Payloads of a buffer; ``ends`` are behind their line ends."""
    some = texts_at(buffer, starts, ends)
    offsets = np.frombuffer(some.buffers()[1], np.int32, len(some) + 1)
    return Payloads(some.buffers()[2], offsets.astype(np.int64))


def texts_at(buffer: bytes | memoryview, starts: Int64Array, ends: Int64Array) -> pa.BinaryArray:
    """The bytes between these places as one array of their own.

    Places ascend and do not overlap; the buffer is below 2 GiB.
    """
    count = len(starts)
    offsets = np.empty(2 * count + 1, np.int32)
    offsets[0:-1:2], offsets[1::2], offsets[-1] = starts, ends, ends[-1]
    # The last segment is empty: every other one is what lies between two places.
    segments = pa.Array.from_buffers(
        pa.binary(), 2 * count, [None, pa.py_buffer(offsets), pa.py_buffer(buffer)]
    )
    return pc.take(segments, pa.array(np.arange(0, 2 * count, 2)), boundscheck=False)
