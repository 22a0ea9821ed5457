"""What the reader and the decoder do with a message, on bytes in memory.

The bytes are those that a pull inbox receives from the server, cut as the socket cuts them. From
there on everything is the product's own: frames, reply subjects, decoding, cutting into batches,
and the bytes of an insert.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from ingest.batches import cut
from ingest.contract import load_contract
from ingest.decode import Decoder
from ingest.frames import FrameParser
from ingest.messages import Messages
from ingest.ranges import SequenceRange
from ingest.reply_subject import parse_replies
from ingest.waiting_messages import WaitingMessages
from simulator.fleet import Fleet, FleetOptions
from simulator.readings import Message

LANE = "READINGS"
START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
STEP_NS = 5_000  # 200,000 messages/s
READ_BYTES = 256 << 10
"""What one read of the socket gives at most (uvloop)."""
MAX_ROWS, MAX_BYTES = 50_000, 64 << 20


@dataclass(frozen=True)
class Done:
    """What came of a run of messages: rows in how many bytes of Arrow, and refused messages."""

    rows: int
    insert_bytes: int
    refused: int


class Work:
    """``messages`` readings as the server would send them, to be read and decoded over and over."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.reads = reads(frames(sample(messages)))
        self._decoder = Decoder(load_contract("readings"), LANE)

    def do(self) -> Done:
        """All of it once."""
        rows = size = refused = 0
        for run in received(self.reads):
            done = insert_blocks(self._decoder, run)
            rows, size = rows + done.rows, size + done.insert_bytes
            refused += done.refused
        return Done(rows, size, refused)


def sample(count: int) -> Iterable[Message]:
    """The first messages of a fleet, taken when the frames say that they were stored."""
    return Fleet(FleetOptions(start_us=START_NS // 1000, count=count))


def frames(messages: Iterable[Message]) -> bytes:
    """The messages as MSG frames of a pull inbox, from stream sequence 1 on."""
    consumer = f"$JS.ACK.{LANE}.hot-0123456789ab.1"
    return b"".join(
        b"MSG %b 1 %b.%d.%d.%d.0 %d\r\n%b\r\n"
        % (
            one.subject.encode(),
            consumer.encode(),
            number,
            number,
            START_NS + number * STEP_NS,
            len(one.payload),
            one.payload,
        )
        for number, one in enumerate(messages, 1)
    )


def reads(stream: bytes) -> list[bytes]:
    """The byte stream in pieces as reads of a socket give them."""
    return [stream[at : at + READ_BYTES] for at in range(0, len(stream), READ_BYTES)]


def received(pieces: Iterable[bytes], run: int = MAX_ROWS) -> list[Messages]:
    """What the reader makes of the pieces: runs of so many messages, with sequences and times."""
    parser, waiting = FrameParser(), WaitingMessages()
    runs = []
    for piece in pieces:
        waiting.add(parser.feed(piece).messages)
        while len(waiting) >= run:
            runs.append(_taken(waiting, run))
    if len(waiting):
        runs.append(_taken(waiting, run))
    return runs


def _taken(waiting: WaitingMessages, run: int) -> Messages:
    taken = waiting.take(run, MAX_BYTES)
    told = parse_replies(taken.replies)
    return Messages(
        sequences=told.stream_seq,
        stored_at_ns=told.stored_at_ns,
        subjects=taken.subjects,
        payloads=taken.payloads,
        covered=SequenceRange(int(told.stream_seq[0]), int(told.stream_seq[-1])),
    )


def insert_blocks(decoder: Decoder, messages: Messages) -> Done:
    """Decodes the messages and makes the bytes of their inserts."""
    decoded = decoder.decode(messages, epoch="bench")
    rows = size = 0
    for batch in cut(
        messages, decoded, epoch="bench", version=1, max_rows=MAX_ROWS, max_bytes=MAX_BYTES
    ):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.rows.schema) as writer:
            writer.write_batch(batch.rows)
        rows += batch.rows.num_rows
        size += sink.getvalue().size
    return Done(rows, size, len(decoded.refused))
