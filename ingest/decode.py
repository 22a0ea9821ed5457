"""Messages of a lane to one Arrow record batch, and to the messages that were refused.

Pure: the same messages give the same bytes, without a clock, without chance and whatever process
decodes them. A message is stored whole or refused whole, and never affects a neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.arrow_frames import CONTINUATION
from ingest.arrow_payload import ArrowReader, ArrowStream
from ingest.contract import STORED_AT, Column, ColumnType, Contract
from ingest.json_alike import AlikeReader
from ingest.json_columns import finished_array, wire_array
from ingest.json_payload import JsonReader, JsonRows
from ingest.json_shape import is_utf8
from ingest.messages import Messages
from ingest.payloads import Payloads
from ingest.pieces import JsonColumns, Piece, in_order
from ingest.problems import Problems, check_ranges
from ingest.refusal import Reason, Refused, RefusedPayloadError

__all__ = ["Decoded", "Decoder", "Refused"]

Int64Array = npt.NDArray[np.int64]

CHUNK = 1024
"""Messages decoded to objects and turned into arrays at a time, so that both stay in the CPU's
cache."""

ALIKE_BYTES = 1 << 20
"""Bytes of messages looked at together for a shape that they share; for the same reason."""

_WHITE_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows in the order of (`_seq`, `_idx`) with the contract's Arrow schema, and the refused."""

    batch: pa.RecordBatch
    refused: list[Refused]


@dataclass(slots=True)
class _Batch:
    """What is known while one run of messages is decoded."""

    messages: Messages
    json: JsonColumns
    pieces: list[Piece] = field(default_factory=list)
    arrow: list[tuple[int, ArrowStream]] = field(default_factory=list)
    refused: dict[int, tuple[Reason, str]] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)


class Decoder:
    """Decodes the messages of one lane by one version of a contract.

    Holds nothing that changes, so several threads may share it.
    """

    def __init__(self, contract: Contract, lane: str) -> None:
        self.contract = contract
        self.lane = lane
        self._alike = AlikeReader(contract)
        self._json = JsonReader(contract)
        self._arrow = ArrowReader(contract)

    def decode(self, messages: Messages, epoch: str) -> Decoded:
        """The rows of these messages and the refused among them, each with its reason.

        The payloads together must stay below 2 GiB, the limit of one Arrow string column.
        """
        batch = _Batch(messages, JsonColumns(self.contract, self._json.getters))
        tokens = self._subject_tokens(batch)
        payloads = Payloads.of(messages.payloads)
        step = max(CHUNK // 16, ALIKE_BYTES * len(messages) // max(payloads.size, 1))
        for start in range(0, len(messages), step):
            found, left = self._alike.read(payloads[start : start + step])
            for alike in found:
                batch.json.add_alike(alike, start)
            for at in range(0, len(left), CHUNK):
                self._read(batch, [start + one for one in left[at : at + CHUNK]])
        self._read_arrow(batch)
        piece = in_order([*batch.pieces, batch.json.finish(batch.problems)])
        stored_us = messages.stored_at_ns[piece.messages] // 1000
        places = (piece.messages, piece.elements)
        check_ranges(self.contract, piece.arrays, places, stored_us, batch.problems)
        for message, why in batch.problems.by_message().items():
            batch.refused.setdefault(message, why)
        arrays = [
            self._column(column, piece, tokens, stored_us) for column in self.contract.columns
        ]
        arrays += self._metadata(messages, piece, stored_us, epoch)
        rows = pa.RecordBatch.from_arrays(arrays, schema=self.contract.arrow_schema)
        if batch.refused:
            kept = ~np.isin(piece.messages, np.fromiter(batch.refused, np.int64))
            rows = rows.filter(pa.array(kept))
        return Decoded(rows, _refused(batch))

    def _read(self, batch: _Batch, places: list[int]) -> None:
        """Decode these messages in one call where that is sound, else each by itself."""
        payloads = [batch.messages.payloads[place] for place in places]
        together = self._json.together(payloads)
        if together is not None:
            batch.json.add(together, places, None)
            return
        rows = JsonRows([], [])
        messages: list[int] = []
        elements: list[int] = []
        for message, payload in zip(places, payloads, strict=True):
            row = self._json.quickly(payload)
            if row is not None:
                rows.rows.append(row)
                messages.append(message)
                elements.append(0)
                continue
            some = self._singly(batch, message, payload)
            rows.extend(some)
            messages += [message] * len(some)
            elements += range(len(some))
        batch.json.add(rows, messages, elements)

    def _singly(self, batch: _Batch, message: int, payload: bytes) -> JsonRows:
        """The JSON rows of one payload; none when it is refused or Arrow, which is noted."""
        try:
            if not payload.startswith(CONTINUATION):
                return self._one(payload)
            self._check_size(payload)
            batch.arrow.append((message, self._arrow.open(payload)))
        except RefusedPayloadError as error:
            batch.refused.setdefault(message, (error.reason, error.detail))
        return JsonRows([], [])

    def _read_arrow(self, batch: _Batch) -> None:
        """Turn the opened Arrow payloads into arrays, those of one schema together."""
        by_schema: dict[bytes, list[tuple[int, ArrowStream]]] = {}
        for message, stream in batch.arrow:
            schema = stream.schema.serialize().to_pybytes()
            by_schema.setdefault(schema, []).append((message, stream))
        for some in by_schema.values():
            try:
                batch.pieces.append(self._arrow_piece(some))
            except RefusedPayloadError:
                # One of them: each by itself tells which, and why.
                for message, stream in some:
                    try:
                        batch.pieces.append(self._arrow_piece([(message, stream)]))
                    except RefusedPayloadError as error:
                        batch.refused.setdefault(message, (error.reason, error.detail))

    def _one(self, payload: bytes) -> JsonRows:
        self._check_size(payload)
        first = payload[:1]
        if first in _WHITE_SPACE:
            first = payload.lstrip(_WHITE_SPACE)[:1]
        if first in (b"{", b"["):
            return self._json.one(payload)
        if not first:
            raise RefusedPayloadError(Reason.EMPTY, "found no bytes")
        if not is_utf8(payload):
            raise RefusedPayloadError(Reason.INVALID_UTF8, "found bytes that are not UTF-8")
        raise RefusedPayloadError(
            Reason.INVALID_JSON,
            f"found {first!r} at the start, expected an object, an array or an Arrow stream",
        )

    def _check_size(self, payload: bytes) -> None:
        most = self.contract.max_message_bytes
        if len(payload) > most:
            detail = f"found {len(payload)} bytes, expected at most {most}"
            raise RefusedPayloadError(Reason.TOO_LARGE, detail)

    def _arrow_piece(self, some: list[tuple[int, ArrowStream]]) -> Piece:
        arrays, rests = self._arrow.read([stream for _, stream in some])
        if self.contract.unknown_column is not None:
            arrays[self.contract.unknown_column] = pa.array(rests, pa.string())
        count = len(rests)
        for column in self.contract.columns:
            if column.path is not None and column.name not in arrays:
                arrays[column.name] = pa.nulls(count, column.type.arrow)
                if column.type is ColumnType.MAP:
                    arrays[column.name] = wire_array(column, [None] * count)
        rows = [stream.rows for _, stream in some]
        elements = np.concatenate([np.arange(one) for one in rows])
        return Piece(arrays, np.repeat([message for message, _ in some], rows), elements)

    def _subject_tokens(self, batch: _Batch) -> list[list[str]]:
        """The tokens of each message's subject; messages with too few of them are refused."""
        wanted = [one for one in self.contract.columns if one.subject_token is not None]
        if not wanted:
            return []
        known: dict[str, list[str]] = {}
        for message, subject in enumerate(batch.messages.subjects):
            tokens = known.get(subject)
            if tokens is None:
                tokens = known[subject] = subject.split(".")
            for column in wanted:
                if (column.subject_token or 0) >= len(tokens):
                    detail = f"{column.name}: found {subject!r}, no token {column.subject_token}"
                    batch.refused.setdefault(message, (Reason.BAD_SUBJECT, detail))
        return [known[subject] for subject in batch.messages.subjects]

    def _column(
        self, column: Column, piece: Piece, tokens: list[list[str]], stored_us: Int64Array
    ) -> pa.Array:
        kind = column.type.arrow
        if column.constant is not None:
            return pa.repeat(_scalar(column, column.constant), len(stored_us))
        if column.subject_token is not None:
            at = column.subject_token
            texts = [tokens[one][at : at + 1] for one in piece.messages.tolist()]
            return pa.array([one[0] if one else None for one in texts], kind)
        array = piece.arrays[column.name]
        if column.default is None or not array.null_count:
            return array
        if column.default == STORED_AT and column.type is ColumnType.TIMESTAMP:
            return pc.coalesce(array, pa.array(stored_us).cast(kind))
        return pc.fill_null(array, _scalar(column, column.default))

    def _metadata(
        self, messages: Messages, piece: Piece, stored_us: Int64Array, epoch: str
    ) -> list[pa.Array]:
        count = len(stored_us)
        return [
            pa.array(messages.sequences[piece.messages]),
            pa.array(piece.elements.astype(np.int32)),
            pa.repeat(pa.scalar(self.lane), count),
            pa.repeat(pa.scalar(epoch), count),
            pa.array(stored_us).cast(pa.timestamp("us", "UTC")),
        ]


def _scalar(column: Column, value: object) -> pa.Scalar:
    """A constant or default of the contract as an Arrow scalar of the column's type."""
    text_forms = (ColumnType.TIMESTAMP, ColumnType.DATE)
    if column.type in text_forms:
        wire = pa.array([value], pa.string())
        rfc = Column(name=column.name, type=column.type, format=None)
        return finished_array(rfc, wire, lambda *_: None)[0]
    return pa.scalar(value, column.type.arrow)


def _refused(batch: _Batch) -> list[Refused]:
    messages = batch.messages
    return [
        Refused(
            sequence=int(messages.sequences[message]),
            stored_at_ns=int(messages.stored_at_ns[message]),
            subject=messages.subjects[message],
            payload=messages.payloads[message],
            reason=reason,
            detail=detail,
        )
        for message, (reason, detail) in sorted(batch.refused.items())
    ]
