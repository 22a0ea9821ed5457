"""The lake's rows added up by Trino, at one snapshot; a side of the proof.

The range of sequences is a condition on ``_seq``, by whose bounds Trino leaves out every file that
holds none of them, so that a look at new rows reads new files.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pyiceberg.table import Table

from ingest.proof.iceberg_side import NAME, iceberg_side
from ingest.proof.side import Columns, Groups, RowHash, Scanned, Segment, Side
from ingest.proof.sums import BUCKET, Sum, Sums
from ingest.ranges import SequenceRange
from ingest.settings import Settings
from pipelines.cancel import Cancel
from pipelines.trino_client import Trino, quoted
from pipelines.trino_fingerprint import (
    combined,
    hash_expression,
    high,
    low,
    microseconds,
    row_hash,
    text,
)

_WORD = 64
"""Sequences whose presence fits into the bits of one BIGINT."""


class TrinoSide:
    """The lane's rows in one snapshot of a table; ``cancel`` ends the statement under way.

    ``absent`` are columns that the snapshot's schema does not have: they hold no value in it.
    """

    def __init__(
        self,
        trino: Trino,
        table: str,
        lane: str,
        columns: Columns,
        *,
        absent: Collection[str],
        cancel: Cancel,
    ) -> None:
        self.name = NAME
        self.how = "trino"
        self.scanned = Scanned()
        self.cpu_s = 0.0
        self._trino = trino
        self._table = table
        self._lane = lane
        self._columns = columns
        self._absent = absent
        self._cancel = cancel

    def sums(self, segment: Segment) -> Sums:
        """Sums by bucket; see Side.

        Rows are first brought together by 64 sequences, each a bit: exact numbers of distinct
        rows and messages in a 64th of the memory that a set of them would take.
        """
        where, values = self._where(segment)
        bit = f"bitwise_left_shift(BIGINT '1', CAST(_seq % {_WORD} AS integer))"
        rows = self._run(
            "SELECT bucket, sum(n), sum(pairs), sum(bit_count(bits, 64)), min(least), max(most),"
            " sum(low), sum(high)"
            f" FROM (SELECT bucket, word, sum(n) AS n, sum(bit_count(bits, 64)) AS pairs,"
            " bitwise_or_agg(bits) AS bits, min(least) AS least, max(most) AS most,"
            " sum(low) AS low, sum(high) AS high"
            f" FROM (SELECT _seq / {BUCKET} AS bucket, _seq / {_WORD} AS word, _idx, count(*) AS n,"
            f" bitwise_or_agg({bit}) AS bits, min(_seq) AS least, max(_seq) AS most,"
            f" sum({low('hashed')}) AS low, sum({high('hashed')}) AS high"
            f" FROM (SELECT _seq, _idx, {self._hash(segment)} AS hashed"
            f" FROM {self._table} WHERE {where})"
            " GROUP BY 1, 2, 3) GROUP BY 1, 2) GROUP BY 1",
            values,
        )
        return {
            bucket: Sum(n, pairs, messages, first, last, combined(lows, highs))
            for bucket, n, pairs, messages, first, last, lows, highs in rows
        }

    def hashes(self, segment: Segment) -> list[RowHash]:
        """Every row; see Side."""
        where, values = self._where(segment)
        rows = self._run(
            f"SELECT _seq, _idx, {self._hash(segment)} FROM {self._table} WHERE {where}"
            " ORDER BY _seq, _idx",
            values,
        )
        return [RowHash(int(seq), int(idx), combined(int(bits), 0)) for seq, idx, bits in rows]

    def texts(self, segment: Segment, sequence: int, index: int) -> list[dict[str, str | None]]:
        """Rows of one place as text; see Side."""
        columns = self._columns.newest.columns
        names = [*(column.name for column in columns), "_stored_at"]
        listed = [text(column, absent=self._absent) for column in columns]
        where, values = self._where(segment)
        rows = self._run(
            f"SELECT {', '.join([*listed, microseconds('_stored_at')])} FROM {self._table}"
            f" WHERE {where} AND _seq = ? AND _idx = ?",
            [*values, sequence, index],
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def groups(self, column: str, hash_of: tuple[str, ...], covered: SequenceRange) -> Groups:
        """Rows and hashes by value of a column; see Side."""
        contract = self._columns.newest
        hashed = hash_expression([contract.column(name) for name in hash_of])
        rows = self._run(
            f"SELECT value, count(*), sum({low('hashed')}), sum({high('hashed')})"
            f" FROM (SELECT {quoted(column)} AS value, {hashed} AS hashed FROM {self._table}"
            " WHERE _lane = ? AND _seq BETWEEN ? AND ?) GROUP BY value",
            [self._lane, covered.first, covered.last],
        )
        return {
            str(value): (int(count), combined(int(lows), int(highs)))
            for value, count, lows, highs in rows
        }

    def strays(self, known: tuple[str, ...]) -> dict[str, int]:
        """Rows under unknown epochs; see Side."""
        rows = self._run(
            f"SELECT _epoch, count(*) FROM {self._table} WHERE _lane = ? GROUP BY _epoch",
            [self._lane],
        )
        return {str(epoch): int(count) for epoch, count in rows if epoch not in known}

    def files(self, segment: Segment, sequences: Sequence[int]) -> dict[int, list[str]]:
        """Data files in which rows of the sequences lie."""
        where, values = self._where(segment)
        marks = ", ".join("?" for _ in sequences)
        rows = self._run(
            f'SELECT _seq, "$path" FROM {self._table} WHERE {where} AND _seq IN ({marks})'
            " ORDER BY 1, 2",
            [*values, *sequences],
        )
        found: dict[int, list[str]] = {}
        for sequence, path in rows:
            found.setdefault(int(sequence), []).append(str(path))
        return found

    def under(self, cancel: Cancel) -> TrinoSide:
        """The same rows, asked for under another request to end."""
        return TrinoSide(
            self._trino,
            self._table,
            self._lane,
            self._columns,
            absent=self._absent,
            cancel=cancel,
        )

    def close(self) -> None:
        """Nothing is open."""

    def _hash(self, segment: Segment) -> str:
        contract = self._columns.of(segment.version)
        return row_hash(contract, self._columns.later(segment.version), absent=self._absent)

    def _where(self, segment: Segment) -> tuple[str, list[object]]:
        where = "_lane = ? AND _epoch = ? AND _seq BETWEEN ? AND ?"
        return where, [self._lane, segment.epoch, segment.range.first, segment.range.last]

    def _run(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        done = self._trino.execute(sql, values, self._cancel, repeatable=True)
        self.scanned.rows += done.rows_read
        self.scanned.bytes += done.bytes_read
        self.cpu_s += done.cpu_s
        return done.rows


class TrinoSides:
    """Opens the lake's side of a proof on Trino; see ``ingest.proof.facts.OpenLake``."""

    def __init__(self, trino: Trino, cancel: Cancel) -> None:
        self._trino = trino
        self._cancel = cancel
        self.opened: TrinoSide | None = None

    def __call__(
        self, settings: Settings, table: Table, lane: str, columns: Columns, *, full: bool
    ) -> Side:
        """The lane's rows in the table's current snapshot; an empty table needs no Trino."""
        snapshot = table.current_snapshot()
        if snapshot is None:
            return iceberg_side(settings, table, lane, columns, full=full)
        schema = table.schemas()[snapshot.schema_id or 0]
        there = {field.name for field in schema.fields}
        contract = columns.newest
        name = quoted(self._trino.catalog, contract.namespace, contract.table)
        self.opened = TrinoSide(
            self._trino,
            f"{name} FOR VERSION AS OF {snapshot.snapshot_id}",
            lane,
            columns,
            absent={one.name for one in contract.columns if one.name not in there},
            cancel=self._cancel,
        )
        return self.opened
