"""The frames of an Arrow IPC stream, checked before Arrow allocates anything for them.

A stream of a few bytes may declare terabytes: rows of columns without buffers, compressed buffers
with a huge length in front. The walk reads only the declared sizes (Arrow verifies the rest).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from ingest.refusal import Reason, RefusedPayloadError

CONTINUATION = b"\xff\xff\xff\xff"
MAX_FRAMES = 1024
MAX_UNCOMPRESSED_BYTES = 64 << 20

_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
# Field numbers in Arrow's flatbuffer schemas Message.fbs.
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_BATCH_LENGTH, _BATCH_BUFFERS, _BATCH_COMPRESSION = 0, 2, 3
_DICTIONARY_DATA = 1


@dataclass(frozen=True, slots=True)
class _FlatTable:
    """One table of a flatbuffer: where it lies and where its field offsets are."""

    data: memoryview
    at: int

    def _field(self, number: int) -> int | None:
        vtable = self.at - _read("<i", self.data, self.at)
        slot = 4 + 2 * number
        if slot + 2 > _read("<H", self.data, vtable):
            return None
        offset = _read("<H", self.data, vtable + slot)
        return self.at + offset if offset else None

    def number(self, number: int, layout: str) -> int:
        at = self._field(number)
        return 0 if at is None else _read(layout, self.data, at)

    def target(self, number: int) -> int | None:
        """Position of the table or vector that a field points to."""
        at = self._field(number)
        return None if at is None else at + _read("<I", self.data, at)


def _read(layout: str, data: memoryview, at: int) -> int:
    if at < 0:
        raise struct.error("position before the start")
    value: int = struct.unpack_from(layout, data, at)[0]
    return value


def check_frames(payload: bytes, max_rows: int) -> None:
    """Refuse a stream that is cut off, goes on after its end, or declares more than it may."""
    try:
        _walk(memoryview(payload), max_rows)
    except struct.error as error:
        raise RefusedPayloadError(
            Reason.INVALID_ARROW, "found a frame that points outside of itself"
        ) from error


def _walk(payload: memoryview, max_rows: int) -> None:
    rows = unpacked = at = 0
    for _ in range(MAX_FRAMES):
        if bytes(payload[at : at + 4]) != CONTINUATION:
            _refuse(f"found no frame at byte {at}, expected an end-of-stream mark")
        size = _read("<i", payload, at + 4)
        at += 8
        if size == 0:
            if at != len(payload):
                _refuse(f"found {len(payload) - at} bytes after the end of the stream")
            return
        metadata = _part(payload, at, size, "a frame")
        message = _FlatTable(metadata, _read("<I", metadata, 0))
        at += size
        body = _part(payload, at, message.number(_BODY_LENGTH, "<q"), "a body")
        at += len(body)
        for batch, counts in _batches(message):
            rows += _rows(batch) if counts else 0
            unpacked += _uncompressed_bytes(batch, body)
        if rows > max_rows:
            raise RefusedPayloadError(
                Reason.TOO_MANY_ROWS, f"found {rows} rows, expected at most {max_rows}"
            )
        if unpacked > MAX_UNCOMPRESSED_BYTES:
            _refuse(f"found {unpacked} bytes compressed, expected at most {MAX_UNCOMPRESSED_BYTES}")
    raise RefusedPayloadError(Reason.INVALID_ARROW, f"found more than {MAX_FRAMES} frames")


def _part(payload: memoryview, at: int, size: int, what: str) -> memoryview:
    if size < 0 or at + size > len(payload):
        _refuse(f"found {what} of {size} bytes at byte {at}, past the end of the payload")
    return payload[at : at + size]


def _batches(message: _FlatTable) -> Iterator[tuple[_FlatTable, bool]]:
    """The record batch of a frame, and whether its rows are the payload's."""
    kind = message.number(_HEADER_TYPE, "<B")
    header = message.target(_HEADER)
    if header is None or kind not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        return
    table = _FlatTable(message.data, header)
    if kind == _RECORD_BATCH:
        yield table, True
    elif (data := table.target(_DICTIONARY_DATA)) is not None:
        yield _FlatTable(message.data, data), False


def _rows(batch: _FlatTable) -> int:
    length = batch.number(_BATCH_LENGTH, "<q")
    if length < 0:
        _refuse(f"found a batch of {length} rows")
    return length


def _uncompressed_bytes(batch: _FlatTable, body: memoryview) -> int:
    """Sum of the lengths in front of a compressed batch's buffers; 0 when not compressed."""
    buffers = batch.target(_BATCH_BUFFERS)
    if batch.target(_BATCH_COMPRESSION) is None or buffers is None:
        return 0
    total = 0
    for index in range(min(_read("<I", batch.data, buffers), len(batch.data) // 16)):
        offset, length = struct.unpack_from("<qq", batch.data, buffers + 4 + 16 * index)
        if length >= 8:
            # -1 marks a buffer that is stored as it is.
            total += max(_read("<q", body, offset), 0)
    return total


def _refuse(detail: str) -> NoReturn:
    raise RefusedPayloadError(Reason.INVALID_ARROW, detail)
