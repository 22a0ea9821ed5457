"""The dead-letter queue: exactly one message per refused sequence, whoever refuses it first.

Subject ``dlq.<lane>.<sequence>.<stored_at in ns>`` with "expected last subject sequence 0": hot and
lake path, restarts and re-reads together write one message, without any time window. The payload is
the original bytes. Replay and purge leave a tombstone on the subject, so that a re-read publishes
nothing and the proof keeps its count.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import structlog
from nats.aio.msg import Msg
from nats.errors import Error, MaxPayloadError

from ingest.decode import Refused
from ingest.errors import DeadLetterFullError, StreamUnavailableError
from ingest.fault_points import FaultPoint, reach
from ingest.nats_link import NatsLink

log = structlog.get_logger(__name__)

STREAM = "DLQ"
SUBJECT_PREFIX = "dlq"
WINDOW = 2_000
RETRY_S = 0.2
WINDOW_BYTES = 16 << 20
HEADER_REASON = "Ingest-Reason"
HEADER_DETAIL = "Ingest-Detail"
HEADER_SUBJECT = "Ingest-Subject"
HEADER_VERSION = "Ingest-Contract-Version"
HEADER_STATE = "Ingest-State"
EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
ALREADY_THERE = frozenset({10071, 10164})
FULL = frozenset({10077, 10047, 10023, 10054, 10122})
NO_RESPONDERS = "503"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused message and the contract version that refused it."""

    refused: Refused
    version: int


def dead_letter_subject(lane: str, sequence: int, stored_at_ns: int) -> str:
    """The one subject of a refused message."""
    return f"{SUBJECT_PREFIX}.{lane}.{sequence}.{stored_at_ns}"


class DeadLetterQueue:
    """Publishes refused messages of one lane; every one is acknowledged on return."""

    def __init__(self, link: NatsLink, lane: str) -> None:
        self._link = link
        self._lane = lane

    async def publish(self, refused: Sequence[Refused], version: int) -> None:
        """Puts every refused message into the queue unless it is there already.

        Tries until NATS answers. Raises DeadLetterFullError when the stream takes no more.
        """
        if not refused:
            return
        reach(FaultPoint.DLQ_BEFORE_PUBLISH)
        waiting = [DeadLetter(one, version) for one in refused]
        while waiting:
            await self._link.wait_connected()
            try:
                waiting = await self._publish_all(waiting)
                problem = f"{len(waiting)} publishes were not acknowledged"
            except StreamUnavailableError as error:
                problem = str(error)
            if waiting:
                log.warning("dlq_waiting", lane=self._lane, problem=problem)
                await self._link.pause(RETRY_S)
        reach(FaultPoint.DLQ_AFTER_PUBLISH)

    async def _publish_all(self, letters: list[DeadLetter]) -> list[DeadLetter]:
        """Publishes in windows over one inbox; returns what was not acknowledged."""
        client = self._link.client
        inbox = client.new_inbox()
        window = _Window()
        numbers = count()
        left: list[DeadLetter] = []
        try:
            answers = await client.subscribe(f"{inbox}.*", cb=window.on_answer)
            try:
                for chunk in _windows(letters):
                    # Numbers never come again: a late answer must not speak for another message.
                    numbered = {next(numbers): letter for letter in chunk}
                    window.expect(set(numbered))
                    for number, letter in numbered.items():
                        await self._send(letter, f"{inbox}.{number}")
                    settled = await window.settled(self._link.request_timeout_s)
                    left += [letter for n, letter in numbered.items() if n not in settled]
            finally:
                if not client.is_closed:
                    await answers.unsubscribe()
        except (Error, OSError) as error:
            raise StreamUnavailableError(f"NATS does not answer: {error!r}") from error
        return left

    async def _send(self, letter: DeadLetter, reply: str) -> None:
        refused = letter.refused
        subject = dead_letter_subject(self._lane, refused.sequence, refused.stored_at_ns)
        try:
            await self._link.client.publish(
                subject, refused.payload, reply=reply, headers=_headers(letter)
            )
        except MaxPayloadError as error:
            raise DeadLetterFullError(
                f"the refused message {refused.sequence} of {self._lane} ({len(refused.payload)}"
                " bytes) and its reason exceed the server's max_payload; raise that by 8 KiB, and"
                " let `ingest init` make the stream, which leaves this room"
            ) from error


def _windows(letters: list[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """The letters in runs of bounded number and size (at least one each)."""
    window: list[DeadLetter] = []
    size = 0
    for letter in letters:
        if window and (len(window) >= WINDOW or size >= WINDOW_BYTES):
            yield window
            window, size = [], 0
        window.append(letter)
        size += len(letter.refused.payload)
    if window:
        yield window


class _Window:
    """Publishes under way and the answers to them."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._settled: set[int] = set()
        self._full: str | None = None
        self._complete = asyncio.Event()

    def expect(self, numbers: set[int]) -> None:
        self._open, self._settled = numbers, set()
        self._complete.clear()

    async def on_answer(self, answer: Msg) -> None:
        number = int(answer.subject.rpartition(".")[2])
        if number not in self._open:
            return
        self._open.discard(number)
        problem = self._problem(answer)
        if problem is None:
            self._settled.add(number)
        elif problem["err_code"] in FULL:
            self._full = problem.get("description", "")
        if not self._open:
            self._complete.set()

    async def settled(self, timeout_s: float) -> set[int]:
        """Numbers of the acknowledged ones once all are answered or time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._complete.wait()
        except TimeoutError:
            log.warning("dlq_answers_missing", count=len(self._open))
        if self._full is not None:
            raise DeadLetterFullError(
                f"the dead-letter stream {STREAM} refuses messages ({self._full}); make room with"
                " `ingest dlq purge` or a larger stream.dlq_max_bytes and `ingest init --update`"
            )
        return self._settled

    @staticmethod
    def _problem(answer: Msg) -> dict[str, Any] | None:
        if answer.headers and answer.headers.get("Status") == NO_RESPONDERS:
            return {"err_code": 0}
        error: dict[str, Any] | None = json.loads(answer.data).get("error")
        if error is None or error.get("err_code") in ALREADY_THERE:
            return None
        return {"err_code": 0, **error}


def _headers(letter: DeadLetter) -> dict[str, str]:
    refused = letter.refused
    return {
        EXPECTED_LAST_SUBJECT_SEQUENCE: "0",
        HEADER_REASON: str(refused.reason),
        HEADER_DETAIL: _one_line(refused.detail),
        HEADER_SUBJECT: refused.subject,
        HEADER_VERSION: str(letter.version),
    }


def _one_line(text: str) -> str:
    """The text as a header value: ASCII, no line breaks, at most 500 characters."""
    plain = text.encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in plain)[:500]
