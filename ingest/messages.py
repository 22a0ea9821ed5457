"""A run of messages as read from a lane, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.ranges import SequenceRange

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of one lane in stream order.

    ``sequences`` int64, strictly ascending (a gap is a hole: messages deleted from the stream).
    ``stored_at_ns`` int64, JetStream's timestamp in nanoseconds since the Unix epoch, UTC.
    ``subjects`` and ``payloads`` have the same length; a reader gives them as `Subjects` and
    `Payloads`, which make no objects before they are asked for one.
    ``covered`` is the contiguous range of sequences that this run settles, holes included.
    """

    sequences: Int64Array
    stored_at_ns: Int64Array
    subjects: Sequence[str]
    payloads: Sequence[bytes]
    covered: SequenceRange

    def __len__(self) -> int:
        return len(self.payloads)

    @property
    def holes(self) -> int:
        """Sequences of the range that the stream no longer holds."""
        return len(self.covered) - len(self.payloads)

    def slice(self, start: int, stop: int, covered: SequenceRange) -> Messages:
        """Messages ``start`` to ``stop`` (index, exclusive) as a run that settles ``covered``."""
        return Messages(
            self.sequences[start:stop],
            self.stored_at_ns[start:stop],
            self.subjects[start:stop],
            self.payloads[start:stop],
            covered,
        )
