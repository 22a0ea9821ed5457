"""Messages of a lane to one Arrow record batch, and to the messages that were refused.

Pure: the same messages give the same bytes, without a clock, without chance and whatever process
decodes them. A message is stored whole or refused whole, and never affects a neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.arrow_frames import CONTINUATION
from ingest.arrow_payload import ArrowReader
from ingest.contract import STORED_AT, Column, ColumnType, Contract
from ingest.json_columns import finished_array, wire_array
from ingest.json_payload import JsonReader, JsonRows, is_utf8
from ingest.messages import Messages
from ingest.problems import Problems, check_ranges
from ingest.refusal import Reason, Refused, RefusedPayloadError

Int64Array = npt.NDArray[np.int64]

CHUNK = 1024
"""Messages decoded and turned into arrays at a time, so that both stay in the CPU's cache."""

_WHITE_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows in the order of (`_seq`, `_idx`) with the contract's Arrow schema, and the refused."""

    batch: pa.RecordBatch
    refused: list[Refused]


@dataclass(slots=True)
class _Piece:
    """Rows that come from one kind of payload, column by column."""

    arrays: dict[str, pa.Array]
    messages: Int64Array
    elements: Int64Array


@dataclass(slots=True)
class _Batch:
    """What is known while one run of messages is decoded."""

    messages: Messages
    pieces: list[_Piece] = field(default_factory=list)
    wire: dict[str, list[pa.Array]] = field(default_factory=dict)
    counts: list[npt.NDArray[Any]] = field(default_factory=list)
    refused: dict[int, tuple[Reason, str]] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)


class Decoder:
    """Decodes the messages of one lane by one version of a contract.

    Holds nothing that changes, so several threads may share it.
    """

    def __init__(self, contract: Contract, lane: str) -> None:
        self.contract = contract
        self.lane = lane
        self._json = JsonReader(contract)
        self._arrow = ArrowReader(contract)

    def decode(self, messages: Messages, epoch: str) -> Decoded:
        """The rows of these messages and the refused among them, each with its reason.

        The payloads together must stay below 2 GiB, the limit of one Arrow string column.
        """
        batch = _Batch(messages)
        tokens = self._subject_tokens(batch)
        for start in range(0, len(messages), CHUNK):
            self._read(batch, start, messages.payloads[start : start + CHUNK])
        self._finish_json(batch)
        piece = _in_order(batch.pieces)
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

    def _read(self, batch: _Batch, start: int, payloads: list[bytes]) -> None:
        rows = self._json.together(payloads)
        if rows is not None:
            self._add_json(batch, rows, np.arange(start, start + len(payloads)), None)
            return
        rows, messages, elements = JsonRows(), [], []
        for message, payload in enumerate(payloads, start):
            try:
                if payload.startswith(CONTINUATION):
                    batch.pieces.append(self._arrow_piece(payload, message))
                    continue
                some = self._one(payload)
            except RefusedPayloadError as error:
                batch.refused.setdefault(message, (error.reason, error.detail))
                continue
            rows.rows += some.rows
            rows.rests += some.rests
            messages += [message] * len(some)
            elements += range(len(some))
        if rows.rows:
            self._add_json(batch, rows, np.array(messages), np.array(elements))

    def _one(self, payload: bytes) -> JsonRows:
        self._check_size(payload)
        first = payload[:1]
        if first in b" \t\r\n":
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

    def _arrow_piece(self, payload: bytes, message: int) -> _Piece:
        self._check_size(payload)
        arrays, rests = self._arrow.read(payload)
        if self.contract.unknown_column is not None:
            arrays[self.contract.unknown_column] = pa.array(rests, pa.string())
        count = len(rests)
        for column in self.contract.columns:
            if column.path is not None and column.name not in arrays:
                arrays[column.name] = pa.nulls(count, column.type.arrow)
                if column.type is ColumnType.MAP:
                    arrays[column.name] = wire_array(column, [None] * count)
        return _Piece(arrays, np.full(count, message), np.arange(count))

    def _add_json(
        self,
        batch: _Batch,
        rows: JsonRows,
        messages: npt.NDArray[Any],
        elements: npt.NDArray[Any] | None,
    ) -> None:
        """Turn rows into arrays at once, so that the Python objects can go."""
        for column in self.contract.columns:
            if column.path is not None:
                values = self._json.getters[column.name](rows.rows)
                batch.wire.setdefault(column.name, []).append(wire_array(column, values))
            elif column.name == self.contract.unknown_column:
                texts = pa.array(rows.rests, pa.string())
                batch.wire.setdefault(column.name, []).append(texts)
        if elements is None:
            elements = np.zeros(len(messages), np.int64)
        batch.counts.append(np.stack([messages, elements]))

    def _finish_json(self, batch: _Batch) -> None:
        if not batch.counts:
            empty = {
                column.name: pa.array([], column.type.arrow)
                for column in self.contract.columns
                if column.constant is None and column.subject_token is None
            }
            batch.pieces.append(_Piece(empty, np.zeros(0, np.int64), np.zeros(0, np.int64)))
            return
        places = np.concatenate(batch.counts, axis=1)
        piece = _Piece({}, places[0], places[1])
        for position, column in enumerate(self.contract.columns):
            if column.name not in batch.wire:
                continue
            report = partial(_report, batch.problems, piece, (position, column.name))
            wire = batch.wire.pop(column.name)
            array = wire[0] if len(wire) == 1 else pa.concat_arrays(wire)
            piece.arrays[column.name] = finished_array(column, array, report)
        batch.pieces.append(piece)

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
        self, column: Column, piece: _Piece, tokens: list[list[str]], stored_us: Int64Array
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
        self, messages: Messages, piece: _Piece, stored_us: Int64Array, epoch: str
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


def _report(
    problems: Problems,
    piece: _Piece,
    column: tuple[int, str],
    rows: npt.NDArray[Any],
    reason: Reason,
    describe: Any,
) -> None:
    problems.add(rows, (piece.messages, piece.elements), column, reason, describe)


def _in_order(pieces: list[_Piece]) -> _Piece:
    """All rows as one piece, in the order of their messages and elements."""
    if len(pieces) == 1:
        return pieces[0]
    messages = np.concatenate([piece.messages for piece in pieces])
    elements = np.concatenate([piece.elements for piece in pieces])
    order = np.argsort(messages, kind="stable")
    taken = pa.array(order)
    arrays = {
        name: pa.concat_arrays([piece.arrays[name] for piece in pieces]).take(taken)
        for name in pieces[0].arrays
    }
    return _Piece(arrays, messages[order], elements[order])


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
