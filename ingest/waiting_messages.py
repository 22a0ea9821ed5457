"""Messages that have come and were not read yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.frame_spans import Spans
from ingest.payloads import LINE_END, Payloads, Subjects, taken, texts_at


@dataclass(frozen=True, slots=True)
class Taken:
    """Messages in order of arrival, column by column."""

    subjects: Subjects
    replies: pa.StringArray
    payloads: Payloads


class WaitingMessages:
    """A queue that takes whole pieces and gives back as many messages as asked for."""

    def __init__(self) -> None:
        self._pieces: list[Spans] = []
        self._count = 0
        self.bytes = 0

    def __len__(self) -> int:
        return self._count

    def add(self, messages: Spans) -> None:
        """Puts messages behind the others."""
        self._pieces.append(messages)
        self._count += len(messages)
        self.bytes += messages.payload_bytes

    def clear(self) -> None:
        """Drops everything."""
        self._pieces, self._count, self.bytes = [], 0, 0

    def take(self, most_messages: int, most_bytes: int) -> Taken:
        """Takes the first messages within both bounds, but at least one, out of the queue."""
        pieces: list[Spans] = []
        messages = size = 0
        for piece in self._pieces:
            if messages >= most_messages or (messages and size >= most_bytes):
                break
            pieces.append(piece)
            messages += len(piece)
            size += piece.payload_bytes
        bases = np.cumsum([0, *(len(piece.buffer) for piece in pieces[:-1])])
        places = np.concatenate([piece.places for piece in pieces])
        places = places + np.repeat(bases, [len(piece) for piece in pieces])[:, None]
        sizes = places[:, 5] - places[:, 4]
        count = min(most_messages, messages)
        if size > most_bytes:
            within = int(np.searchsorted(np.cumsum(sizes), most_bytes, side="right"))
            count = max(1, min(count, within))
        self._drop(len(pieces), messages - count)
        self._count -= count
        self.bytes -= int(sizes[:count].sum())
        return _columns(b"".join(piece.buffer for piece in pieces), places[:count])

    def _drop(self, pieces: int, left: int) -> None:
        """Removes the first pieces but for the last messages of the last one."""
        last = self._pieces[pieces - 1]
        rest = [Spans(last.buffer, last.places[len(last) - left :])] if left else []
        self._pieces[:pieces] = rest


def _columns(buffer: bytes, places: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Taken:
    return Taken(
        Subjects(texts_at(buffer, places[:, 0], places[:, 1])),
        texts_at(buffer, places[:, 2], places[:, 3]).cast(pa.string()),
        taken(buffer, places[:, 4], places[:, 5] + len(LINE_END)),
    )
