"""Which rows of a batch cannot be stored, and why: the first problem of each message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.contract import Column, ColumnType, Contract
from ingest.refusal import Reason
from ingest.timestamps import EARLIEST_DAY, EARLIEST_US, LATEST_DAY, LATEST_US

Int64Array = npt.NDArray[np.int64]
Describe = Callable[[int], str]


class Problems:
    """Collects problems by message and element; the first in element and column order counts."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[tuple[int, int], Reason, str, Describe, int]] = {}

    def __len__(self) -> int:
        return len(self._first)

    def add(
        self,
        rows: npt.NDArray[Any],
        places: tuple[Int64Array, Int64Array],
        column: tuple[int, str],
        reason: Reason,
        describe: Describe,
    ) -> None:
        """Note one reason for many rows.

        ``places`` are the message and the element of every row of the batch, ``column`` its
        position and name; ``describe`` is asked later, for the rows that count.
        """
        messages, elements = places
        position, name = column
        for row, message, element in zip(
            rows.tolist(), messages[rows].tolist(), elements[rows].tolist(), strict=True
        ):
            order = (element, position)
            if message not in self._first or order < self._first[message][0]:
                self._first[message] = (order, reason, name, describe, row)

    def by_message(self) -> dict[int, tuple[Reason, str]]:
        """Reason and detail of each message that has a problem."""
        return {
            message: (reason, f"element {order[0]}, {name}: {describe(row)}")
            for message, (order, reason, name, describe, row) in self._first.items()
        }


def check_ranges(
    contract: Contract,
    arrays: dict[str, pa.Array],
    places: tuple[Int64Array, Int64Array],
    stored_us: Int64Array,
    problems: Problems,
) -> None:
    """Note values that no sink can hold and event times outside the contract's window.

    ``stored_us`` is JetStream's timestamp of each row in microseconds since the Unix epoch.
    """
    for position, column in enumerate(contract.columns):
        array = arrays.get(column.name)
        if array is None:
            continue
        for rows, reason, describe in _beyond(contract, column, array, stored_us):
            if len(rows):
                problems.add(rows, places, (position, column.name), reason, describe)


def _beyond(
    contract: Contract, column: Column, array: pa.Array, stored_us: Int64Array
) -> list[tuple[npt.NDArray[Any], Reason, Describe]]:
    if column.type.is_float:
        values = array.to_numpy(zero_copy_only=False)
        wrong = ~np.isfinite(values)
        if array.null_count and wrong.any():
            wrong &= array.is_valid().to_numpy(zero_copy_only=False)
        return [(np.flatnonzero(wrong), Reason.OUT_OF_RANGE, _describe(values, "a finite number"))]
    if column.type not in (ColumnType.TIMESTAMP, ColumnType.DATE):
        return []
    is_time = column.type is ColumnType.TIMESTAMP
    whole = array.view(pa.int64()) if is_time else array.view(pa.int32())
    least, most = (EARLIEST_US, LATEST_US) if is_time else (EARLIEST_DAY, LATEST_DAY)
    values = whole.fill_null(0).to_numpy() if whole.null_count else whole.to_numpy()
    beyond = (values < least) | (values > most)
    found = [
        (np.flatnonzero(beyond), Reason.OUT_OF_RANGE, lambda _: "expected the years 1900 to 2299")
    ]
    if column.name == contract.time_column:
        present = ~beyond
        if whole.null_count:
            present &= array.is_valid().to_numpy(zero_copy_only=False)
        found += _outside_window(contract, values - stored_us, present)
    return found


def _outside_window(
    contract: Contract, ahead_us: Int64Array, present: npt.NDArray[np.bool_]
) -> list[tuple[npt.NDArray[Any], Reason, Describe]]:
    old = present & (ahead_us < -contract.max_age_s * 1_000_000)
    early = present & (ahead_us > contract.max_ahead_s * 1_000_000)
    return [
        (
            np.flatnonzero(old),
            Reason.TOO_OLD,
            lambda row: (
                f"found an event {-ahead_us[row] / 1e6:.3f} s before its message was stored, "
                f"expected at most {contract.max_age_s} s"
            ),
        ),
        (
            np.flatnonzero(early),
            Reason.TOO_FAR_AHEAD,
            lambda row: (
                f"found an event {ahead_us[row] / 1e6:.3f} s after its message was stored, "
                f"expected at most {contract.max_ahead_s} s"
            ),
        ),
    ]


def _describe(values: npt.NDArray[Any], expected: str) -> Describe:
    return lambda row: f"found {float(values[row])}, expected {expected}"
