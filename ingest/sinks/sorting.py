"""Rows in the order of the key columns, the way both sinks like to read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def sorted_by(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows ordered by the key columns, then by ``_seq`` and ``_idx`` (their order on entry).

    Text columns are sorted by the rank of their distinct values, so that the sort itself
    compares integers only.
    """
    ranks = [_ranks(rows.column(name)) for name in reversed(key)]
    order = np.lexsort(ranks) if ranks else np.arange(rows.num_rows)
    return rows.take(pa.array(order))


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        rank = pc.rank(encoded.dictionary, tiebreaker="dense").to_numpy()
        ranked: npt.NDArray[Any] = rank[encoded.indices.to_numpy()]
        return ranked
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    numbers: npt.NDArray[Any] = column.to_numpy()
    return numbers
