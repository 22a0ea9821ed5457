"""The DLQ's side: one message for each refused sequence, on its subject, with its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from nats.js.errors import NotFoundError

from ingest.decode import Refused
from ingest.dlq import HEADER_STATE, STREAM, SUBJECT_PREFIX, dead_letter_subject
from ingest.dlq_read import EntryState
from ingest.errors import StreamConfigError
from ingest.nats_link import NatsLink
from ingest.proof.findings import Finding, Problem
from ingest.proof.side import Segment
from ingest.ranges import SequenceRange, merge
from ingest.stream_scan import last_on

NAME = "dlq"
AT_ONCE = 256


@dataclass
class Letters:
    """What was found of the refused messages of one segment, piece by piece.

    16 bytes a refused message stay in memory, some 200 while they are held against the DLQ.
    """

    missing: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    found: int = 0
    settled: int = 0
    """Replayed or purged since: the entry remains, its bytes do not."""
    sequences: list[npt.NDArray[np.int64]] = field(default_factory=list)
    stored_at_ns: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def keys(self) -> set[tuple[int, int]]:
        """(sequence, stored_at in ns) of every refused message."""
        return {
            key
            for sequences, stored in zip(self.sequences, self.stored_at_ns, strict=True)
            for key in zip(sequences.tolist(), stored.tolist(), strict=True)
        }


class DeadLetters:
    """The dead-letter messages of one lane."""

    def __init__(self, link: NatsLink, lane: str) -> None:
        self._link = link
        self._lane = lane

    async def check(self, refused: Sequence[Refused], letters: Letters) -> None:
        """Looks up every refused message and adds what was found."""
        for start in range(0, len(refused), AT_ONCE):
            part = refused[start : start + AT_ONCE]
            await asyncio.gather(*(self._check_one(one, letters) for one in part))
        letters.sequences.append(np.array([one.sequence for one in refused], np.int64))
        letters.stored_at_ns.append(np.array([one.stored_at_ns for one in refused], np.int64))

    async def findings(self, segment: Segment, letters: Letters, since_ns: int) -> list[Finding]:
        """What is wrong in the range: refused without a message, messages without a refused one.

        Those stored before ``since_ns`` belong to a history before this one.
        """
        listed = self.listed(segment.range)
        held = {key: count async for key, count in listed if key[1] >= since_ns}
        wanted = letters.keys()
        extra = [key[0] for key in held if key not in wanted]
        doubled = [key[0] for key, count in held.items() if count > 1]
        return [
            Finding(NAME, problem, segment.epoch, tuple(merge(sequences)))
            for problem, sequences in (
                (Problem.MISSING, letters.missing),
                (Problem.CHANGED, letters.changed),
                (Problem.EXTRA, extra),
                (Problem.DOUBLED, doubled),
            )
            if sequences
        ]

    async def listed(self, covered: SequenceRange) -> AsyncIterator[tuple[tuple[int, int], int]]:
        """(sequence, stored_at in ns) and number of messages, of each subject in the range."""
        offset = 0
        while True:
            request = {"subjects_filter": f"{SUBJECT_PREFIX}.{self._lane}.>", "offset": offset}
            try:
                answer = await self._link.api(f"STREAM.INFO.{STREAM}", request)
            except NotFoundError as error:
                raise StreamConfigError(
                    f"NATS has no stream {STREAM!r}; run `ingest init` first"
                ) from error
            subjects: dict[str, int] = answer["state"].get("subjects") or {}
            for subject, count in subjects.items():
                key = _key(subject)
                if key is not None and key[0] in covered:
                    yield key, count
            offset += len(subjects)
            if not subjects or offset >= int(answer.get("total", 0)):
                return

    async def _check_one(self, one: Refused, letters: Letters) -> None:
        subject = dead_letter_subject(self._lane, one.sequence, one.stored_at_ns)
        message = await last_on(self._link, STREAM, subject)
        if message is None:
            letters.missing.append(one.sequence)
            return
        letters.found += 1
        state = message.headers.get(HEADER_STATE, "")
        if state in (EntryState.REPLAYED, EntryState.PURGED):
            letters.settled += 1
        elif message.payload != one.payload:
            letters.changed.append(one.sequence)


def _key(subject: str) -> tuple[int, int] | None:
    """(sequence, stored_at in ns) of a subject; None for one that is no entry's."""
    tokens = subject.split(".")
    if len(tokens) != 4 or not (tokens[2].isdecimal() and tokens[3].isdecimal()):
        return None
    return int(tokens[2]), int(tokens[3])
