"""Rows of a batch by kind of payload, column by column, and how they become one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.contract import Contract
from ingest.json_alike import Alike
from ingest.json_columns import finished_array, wire_array
from ingest.json_payload import JsonRows
from ingest.json_struct import Getter
from ingest.problems import Describe, Problems
from ingest.refusal import Reason

Int64Array = npt.NDArray[np.int64]


@dataclass(slots=True)
class Piece:
    """Arrays by column name, and for each row its message (position in the run) and element."""

    arrays: dict[str, pa.Array]
    messages: Int64Array
    elements: Int64Array


def in_order(pieces: list[Piece]) -> Piece:
    """All rows as one piece, in the order of their messages and elements."""
    first = pieces[0].messages
    if len(pieces) == 1 and (first[1:] >= first[:-1]).all():
        return pieces[0]
    messages = np.concatenate([piece.messages for piece in pieces])
    elements = np.concatenate([piece.elements for piece in pieces])
    order = np.argsort(messages, kind="stable")
    taken = pa.array(order)
    arrays = {
        name: pa.concat_arrays([piece.arrays[name] for piece in pieces]).take(taken)
        for name in pieces[0].arrays
    }
    return Piece(arrays, messages[order], elements[order])


class JsonColumns:
    """Collects the rows of JSON payloads as Arrow arrays, chunk by chunk."""

    def __init__(self, contract: Contract, getters: dict[str, Getter]) -> None:
        self._getters = getters
        self._unknown_column = contract.unknown_column
        self._columns = [
            (position, column)
            for position, column in enumerate(contract.columns)
            if column.path is not None or column.name == contract.unknown_column
        ]
        self._wire: dict[str, list[pa.Array]] = {column.name: [] for _, column in self._columns}
        self._messages: list[Int64Array] = []
        self._elements: list[Int64Array] = []

    def add(self, rows: JsonRows, messages: Sequence[int], elements: Sequence[int] | None) -> None:
        """Turn rows into arrays at once, so that the Python objects can go.

        ``elements`` None stands for a single row in each message.
        """
        for _, column in self._columns:
            if column.name == self._unknown_column:
                array = pa.array(rows.rests, pa.string())
            else:
                array = wire_array(column, self._getters[column.name](rows.rows))
            self._wire[column.name].append(array)
        self._messages.append(np.array(messages, np.int64))
        self._elements.append(
            np.zeros(len(messages), np.int64) if elements is None else np.array(elements, np.int64)
        )

    def add_alike(self, alike: Alike, start: int) -> None:
        """Take over rows that are arrays already; ``start`` is the run's place of payload 0."""
        for name, array in alike.arrays.items():
            self._wire[name].append(array)
        self._messages.append(alike.payloads + start)
        self._elements.append(alike.elements)

    def finish(self, problems: Problems) -> Piece:
        """All rows in the contract's column types; values that have none are noted."""
        nothing = np.zeros(0, np.int64)
        piece = Piece(
            {},
            np.concatenate([nothing, *self._messages]),
            np.concatenate([nothing, *self._elements]),
        )
        for position, column in self._columns:
            chunks = self._wire[column.name]
            array = pa.concat_arrays(chunks) if chunks else wire_array(column, [])
            report = partial(_note, problems, piece, (position, column.name))
            piece.arrays[column.name] = finished_array(column, array, report)
        return piece


def _note(
    problems: Problems,
    piece: Piece,
    column: tuple[int, str],
    rows: npt.NDArray[np.intp],
    reason: Reason,
    describe: Describe,
) -> None:
    problems.add(rows, (piece.messages, piece.elements), column, reason, describe)
