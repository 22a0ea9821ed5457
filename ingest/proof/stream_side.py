"""The stream's side: messages read by a consumer of our own and decoded as they were in force."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Decoded, Decoder
from ingest.errors import DataLostError
from ingest.fingerprint import UInt64Array, canonical_texts, row_hashes
from ingest.messages import Messages
from ingest.metrics import Metrics
from ingest.nats_link import NatsLink
from ingest.proof.side import Columns, RowHash, Segment
from ingest.proof.sums import Sums, sums_of
from ingest.pull_credit import PullCredit
from ingest.ranges import SequenceRange
from ingest.reader import ReaderInterruptedError, ReadLimit
from ingest.settings import Settings
from ingest.stream import PullReader, open_inbox
from ingest.stream_info import message_from

ROLE = "verify"
CHUNK_MESSAGES = 25_000
CHUNK_BYTES = 32 << 20
CHUNKS_AHEAD = 2
"""Chunks in work beside the one that is compared: most of decoding and hashing runs without the
interpreter's lock, so two of them use two cores."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive messages of one segment, decoded; the hash of each row in ``hashes``."""

    messages: Messages
    decoded: Decoded
    hashes: UInt64Array

    def sums(self) -> Sums:
        """Sums of the rows by bucket."""
        rows = self.decoded.batch
        indexes = rows.column("_idx").to_numpy().astype(np.int64)
        return sums_of(rows.column("_seq").to_numpy(), indexes, self.hashes)


class StreamSide:
    """What the stream holds of a lane, chunk by chunk; memory does not grow with the range."""

    def __init__(self, link: NatsLink, lane: str, columns: Columns, settings: Settings) -> None:
        self._link = link
        self._lane = lane
        self._columns = columns
        self._settings = settings
        self._decoders: dict[int, Decoder] = {}

    async def chunks(self, segment: Segment) -> AsyncIterator[Chunk]:
        """Every message of the segment that the stream holds, in order.

        Raises DataLostError when retention removes messages meanwhile.
        """
        reader = self._reader()
        position = segment.range.first
        try:
            while position <= segment.range.last:
                try:
                    await reader.open(position)
                    async for chunk in self._decoded(reader, segment):
                        yield chunk
                        position = chunk.messages.covered.last + 1
                    return
                except ReaderInterruptedError:
                    await self._link.wait_connected()
        finally:
            await reader.close()

    async def _decoded(self, reader: PullReader, segment: Segment) -> AsyncIterator[Chunk]:
        """The chunks in order, while the next ones are read and decoded."""
        decoding: deque[asyncio.Task[Chunk]] = deque()
        try:
            async for messages in self._runs(reader, segment.range.last):
                work = asyncio.to_thread(self._decode, messages, segment)
                decoding.append(asyncio.create_task(work))
                if len(decoding) > CHUNKS_AHEAD:
                    yield await decoding.popleft()
            while decoding:
                yield await decoding.popleft()
        finally:
            await asyncio.gather(*decoding, return_exceptions=True)

    async def hashes(self, segment: Segment) -> list[RowHash]:
        """Every row, ordered by sequence and index."""
        found: list[RowHash] = []
        async for chunk in self.chunks(segment):
            rows = chunk.decoded.batch
            places = (rows.column("_seq").to_pylist(), rows.column("_idx").to_pylist())
            found += [RowHash(*row) for row in zip(*places, chunk.hashes.tolist(), strict=True)]
        return found

    async def texts(self, segment: Segment, sequence: int, index: int) -> dict[str, str | None]:
        """The row of that place as canonical text by column; empty when there is none."""
        one = Segment(segment.epoch, segment.version, SequenceRange(sequence, sequence))
        async for chunk in self.chunks(one):
            rows = chunk.decoded.batch
            rows = rows.filter(pc.equal(rows.column("_idx"), index))
            if rows.num_rows:
                columns = self._columns.of(segment.version).columns
                names = [*(column.name for column in columns), "_stored_at"]
                return {name: canonical_texts(rows.column(name))[0].as_py() for name in names}
        return {}

    def _reader(self) -> PullReader:
        writer = self._settings.writer
        return PullReader(
            self._link,
            self._lane,
            ROLE,
            inbox=open_inbox(self._link, self._settings),
            heartbeat_s=writer.heartbeat_s,
            credit=PullCredit(3 * CHUNK_MESSAGES, min(writer.buffer_max_bytes, 3 * CHUNK_BYTES)),
            on_loss=self._on_loss,
            metrics=Metrics(self._lane, ROLE).reader(),
        )

    async def _runs(self, reader: PullReader, last: int) -> AsyncIterator[Messages]:
        limit = ReadLimit(CHUNK_MESSAGES, CHUNK_BYTES, 0.1)
        while reader.position <= last:
            messages = await reader.read(limit, wait_s=0.2)
            if messages is None:
                following = await message_from(self._link, self._lane, reader.position)
                if following is None or following.sequence > last:
                    return
                continue
            count = int(messages.sequences.searchsorted(last, side="right"))
            if count == len(messages):
                yield messages
            elif count:
                covered = SequenceRange(messages.covered.first, int(messages.sequences[count - 1]))
                yield messages.slice(0, count, covered)

    async def _on_loss(self, lost: SequenceRange) -> None:
        raise DataLostError(
            f"retention removed messages {lost} of {self._lane} while they were being compared; run"
            " again"
        )

    def _decode(self, messages: Messages, segment: Segment) -> Chunk:
        decoder = self._decoders.get(segment.version)
        if decoder is None:
            contract = self._columns.of(segment.version)
            decoder = self._decoders[segment.version] = Decoder(contract, lane=self._lane)
        decoded = decoder.decode(messages, epoch=segment.epoch)
        names = [column.name for column in decoder.contract.columns]
        return Chunk(messages, decoded, row_hashes(decoded.batch, names))


def stored_bounds_us(messages: Messages) -> tuple[int, int]:
    """Least and largest timestamp of the messages, microseconds since the Unix epoch."""
    stored = messages.stored_at_ns
    return int(stored.min()) // 1000, int(stored.max()) // 1000


def schema_of(columns: Columns, version: int) -> pa.Schema:
    """Arrow schema of rows decoded under the version."""
    return columns.of(version).arrow_schema
