"""Whether a refused message would be stored under the contract in force now."""

from __future__ import annotations

import time

import numpy as np

from ingest.contract import Contract
from ingest.decode import Decoder
from ingest.dlq_read import Entry
from ingest.messages import Messages
from ingest.ranges import SequenceRange


class Trial:
    """Decodes refused messages as if they were published now; stores nothing."""

    def __init__(self, contract: Contract, lane: str) -> None:
        self._decoder = Decoder(contract, lane=lane)

    def problem(self, entry: Entry) -> str | None:
        """Why the message would be refused again, None when it would be stored.

        ``entry`` needs its payload.
        """
        assert entry.payload is not None
        message = Messages(
            sequences=np.array([1], dtype=np.int64),
            stored_at_ns=np.array([time.time_ns()], dtype=np.int64),
            subjects=[entry.subject],
            payloads=[entry.payload],
            covered=SequenceRange(1, 1),
        )
        refused = self._decoder.decode(message, epoch="trial").refused
        return f"{refused[0].reason}: {refused[0].detail}" if refused else None
