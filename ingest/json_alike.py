"""Payloads of few shapes to columns, without an object for each row; the rest is left over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contract import Column, ColumnType, Contract, UnknownFields
from ingest.json_columns import absent_array, whole_epochs
from ingest.json_cut import Cut, Cutter
from ingest.json_numbers import are_booleans, are_numbers, are_scalars, are_whole
from ingest.json_shape import Hole, Shape, shape_of
from ingest.json_struct import path_tree
from ingest.marked_payloads import MarkedPayloads
from ingest.payloads import Payloads

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

LEAST = 16
"""For fewer payloads the plain decoder is as fast."""

MOST_SHAPES = 8
LEAST_SHARE = 8
"""A shape that fewer than one in so many payloads have ends the search for more."""

_OBJECT_OR_ARRAY = list(b"{[")


@dataclass(frozen=True, slots=True)
class Alike:
    """Rows of one shape: arrays as `wire_array` makes them, by column name.

    ``payloads`` and ``elements`` are int64: where each row stands.
    """

    arrays: dict[str, pa.Array]
    payloads: Int64Array
    elements: Int64Array


class AlikeReader:
    """Finds the shapes in a run of payloads of one contract; holds no state between calls."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._tree = path_tree(contract)
        self._unknown = contract.unknown_fields is UnknownFields.IGNORE
        self._columns = [one for one in contract.columns if one.path is not None]

    def read(self, payloads: Payloads) -> tuple[list[Alike], list[int]]:
        """The rows of payloads that share a shape, and which payloads are left, ascending."""
        found: list[Alike] = []
        may_be = np.isin(payloads.first_bytes, _OBJECT_OR_ARRAY)
        left = np.flatnonzero(may_be)
        odd = np.flatnonzero(~may_be).tolist()
        if len(left) < LEAST:
            return [], list(range(len(payloads)))
        marked = MarkedPayloads(payloads, self._contract.max_message_bytes)
        for _ in range(MOST_SHAPES):
            if len(left) < LEAST:
                break
            first = marked.payload(int(left[0]))
            shape = shape_of(first, self._tree, unknown=self._unknown)
            alike = None if shape is None else self._of_shape(shape, marked, left)
            if alike is None:
                odd.append(int(left[0]))
                left = left[1:]
                continue
            found.append(alike)
            waits = np.ones(len(payloads), np.bool_)
            waits[alike.payloads] = False
            before, left = len(left), left[waits[left]]
            if (before - len(left)) * LEAST_SHARE < before:
                break
        return found, sorted(odd + left.tolist())

    def _of_shape(self, shape: Shape, marked: MarkedPayloads, among: Int64Array) -> Alike | None:
        """The rows of those payloads that have the shape, and values that its columns take."""
        cutter = Cutter(shape, self._contract.max_rows_per_message)
        while len(among):
            rows = cutter.cut(marked, among)
            if rows is None:
                return None
            bare = {at: rows.values([at]) for at, hole in enumerate(shape.holes) if not hole.quoted}
            fits = [_may_be(shape.holes[at].column, texts) for at, texts in bare.items()]
            unfit = rows.payloads[~np.logical_and.reduce(fits)] if fits else among[:0]
            if not len(unfit):
                first_rows = np.searchsorted(rows.payloads, rows.payloads)
                elements = np.arange(len(rows)) - first_rows
                return Alike(self._arrays(shape, rows, bare), rows.payloads, elements)
            among = np.setdiff1d(rows.payloads, unfit)
        return None

    def _arrays(
        self, shape: Shape, rows: Cut, bare: dict[int, pa.StringArray]
    ) -> dict[str, pa.Array]:
        holes: dict[str, list[int]] = {}
        for at, hole in enumerate(shape.holes):
            if hole.column is not None:
                holes.setdefault(hole.column.name, []).append(at)
        arrays: dict[str, pa.Array] = {}
        for column in self._columns:
            own = holes.get(column.name)
            if own is None:
                arrays[column.name] = absent_array(column, len(rows))
            elif column.type is ColumnType.MAP:
                arrays[column.name] = _maps(rows, {_key(shape.holes[at]): at for at in own})
            elif own[0] in bare:
                arrays[column.name] = _of_bare(column, bare[own[0]])
            else:
                arrays[column.name] = rows.values(own)
        if self._contract.unknown_column is not None:
            arrays[self._contract.unknown_column] = pa.nulls(len(rows), pa.string())
        return arrays


def _may_be(column: Column | None, texts: pa.StringArray) -> BoolArray:
    """Which texts are values of the column, whatever their size; the rest needs a closer look."""
    if column is None:
        return are_scalars(texts)
    if column.type.is_float:
        return are_numbers(texts)
    if column.type is ColumnType.BOOL:
        return are_booleans(texts)
    return are_whole(texts, 9 if column.type is ColumnType.INT32 else 18)


def _of_bare(column: Column, texts: pa.StringArray) -> pa.Array:
    if column.type.is_float:
        return pc.cast(texts, pa.float64())
    if column.type is ColumnType.BOOL:
        return pc.equal(texts, "true")
    if column.type is ColumnType.TIMESTAMP:
        return whole_epochs(pc.cast(texts, pa.int64()).to_numpy(), column.format)
    return pc.cast(texts, column.type.arrow)


def _maps(rows: Cut, holes: dict[str, int]) -> pa.MapArray:
    """A map column whose rows all have the same keys."""
    keys = sorted(holes)
    offsets = np.arange(0, len(rows) * len(keys) + 1, len(keys), dtype=np.int32)
    repeated = pa.array(keys, pa.string()).take(pa.array(np.tile(np.arange(len(keys)), len(rows))))
    values = rows.values([holes[key] for key in keys])
    return pa.MapArray.from_arrays(pa.array(offsets), repeated, values)


def _key(hole: Hole) -> str:
    assert hole.key is not None
    return hole.key
