"""The sequences and the timestamp that JetStream writes into a message's reply subject.

``$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<timestamp>.<pending>``, and
with a domain ``$JS.ACK.<domain>.<account>.<stream>...<pending>[.<random>]`` (NATS ADR-15).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.messages import Int64Array
from ingest.ranges import SequenceRange

TOKENS_PLAIN = 9


@dataclass(frozen=True, slots=True)
class Replies:
    """Per message, in order of arrival: int64 stream sequence, consumer sequence, timestamp."""

    stream_seq: Int64Array
    consumer_seq: Int64Array
    stored_at_ns: Int64Array

    def in_order(self, consumer_seq_before: int) -> int:
        """How many from the start follow ``consumer_seq_before`` one by one."""
        count = len(self.consumer_seq)
        expected = np.arange(consumer_seq_before + 1, consumer_seq_before + 1 + count)
        wrong = np.flatnonzero(self.consumer_seq != expected)
        return int(wrong[0]) if len(wrong) else count

    def head(self, count: int) -> Replies:
        """The first ``count``."""
        return Replies(
            self.stream_seq[:count], self.consumer_seq[:count], self.stored_at_ns[:count]
        )

    def missing(self, position: int) -> list[SequenceRange]:
        """Ranges between ``position`` and the last message that did not come."""
        if int(self.stream_seq[-1]) - position + 1 == len(self.stream_seq):
            return []
        before = np.concatenate(([position - 1], self.stream_seq[:-1]))
        jumps = np.flatnonzero(self.stream_seq - before > 1)
        return [
            SequenceRange(int(before[i]) + 1, int(self.stream_seq[i]) - 1) for i in jumps.tolist()
        ]


def parse_replies(replies: pa.StringArray) -> Replies:
    """Sequences and timestamps of reply subjects that all come from one consumer."""
    shift = 0 if replies[0].as_py().count(".") + 1 == TOKENS_PLAIN else 2
    tokens = pc.split_pattern(replies, ".")
    return Replies(_token(tokens, 5 + shift), _token(tokens, 6 + shift), _token(tokens, 7 + shift))


def _token(tokens: pa.Array, index: int) -> Int64Array:
    numbers: Int64Array = pc.cast(pc.list_element(tokens, index), pa.int64()).to_numpy(
        zero_copy_only=False
    )
    return numbers
