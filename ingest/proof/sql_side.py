"""Rows that ClickHouse reads and adds up: its own table, or Iceberg's data files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.clickhouse_client import connect, translate
from ingest.proof.canonical_sql import hash_expression, quoted, row_hash, text
from ingest.proof.side import Columns, Groups, RowHash, Scanned, Segment
from ingest.proof.sums import BUCKET, Sum, Sums
from ingest.ranges import SequenceRange
from ingest.settings import ClickHouseSettings

QUERY_TIMEOUT_S = 3_600
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = "_lane = {lane:String} AND _epoch = {epoch:String} AND _seq BETWEEN {first:UInt64}"
METADATA = ("_seq", "_idx", "_stored_at")


class SqlSide:
    """The rows of one lane in a table or table function of ClickHouse.

    ``settings`` of queries are ClickHouse's own; ``by_day`` says that the source is partitioned by
    the UTC day of ``_stored_at``, which lets a bounded segment read a few partitions only.
    """

    def __init__(
        self,
        name: str,
        source: str,
        lane: str,
        columns: Columns,
        clickhouse: ClickHouseSettings,
        *,
        by_day: bool,
        settings: dict[str, Any],
    ) -> None:
        self.name = name
        self.how = "clickhouse"
        self.scanned = Scanned()
        self._source = source
        self._lane = lane
        self._columns = columns
        self._by_day = by_day
        self._settings = settings
        self._client: Client | None = None
        self._clickhouse = clickhouse

    def sums(self, segment: Segment) -> Sums:
        """Sums by bucket; see Side."""
        rows = self._query(
            f"SELECT intDiv(_seq, {BUCKET}) AS __bucket, count(),"
            f" groupBitmap(toUInt64(_idx) * {BUCKET} + toUInt64(_seq % {BUCKET})),"
            f" groupBitmap(toUInt64(_seq % {BUCKET})), min(_seq), max(_seq),"
            f" sum({self._hash(segment)})"
            f" FROM {self._source} WHERE {self.where(segment)} GROUP BY __bucket",
            segment,
        )
        return {int(bucket): Sum(*map(int, rest)) for bucket, *rest in rows}

    def hashes(self, segment: Segment) -> list[RowHash]:
        """Every row; see Side."""
        rows = self._query(
            f"SELECT _seq, _idx, {self._hash(segment)} FROM {self._source}"
            f" WHERE {self.where(segment)} ORDER BY _seq, _idx",
            segment,
        )
        return [RowHash(int(sequence), int(index), int(one)) for sequence, index, one in rows]

    def texts(self, segment: Segment, sequence: int, index: int) -> list[dict[str, str | None]]:
        """Rows of one place as text; see Side."""
        columns = self._columns.newest.columns
        names = [*(column.name for column in columns), "_stored_at"]
        listed = [*map(text, columns), "toString(toUnixTimestamp64Micro(_stored_at))"]
        rows = self._query(
            f"SELECT {', '.join(listed)} FROM {self._source} WHERE {self.where(segment)}"
            " AND _seq = {sequence:UInt64} AND _idx = {index:UInt32}",
            segment,
            sequence=sequence,
            index=index,
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def groups(self, column: str, hash_of: tuple[str, ...], covered: SequenceRange) -> Groups:
        """Rows and hashes by value of a column; see Side."""
        contract = self._columns.newest
        hashed = hash_expression([contract.column(name) for name in hash_of])
        rows = self._run(
            f"SELECT {quoted(column)} AS __value, count(), sum({hashed}) FROM {self._source}"
            " WHERE _lane = {lane:String} AND _seq BETWEEN {first:UInt64} AND {last:UInt64}"
            " GROUP BY __value",
            {"lane": self._lane, "first": covered.first, "last": covered.last},
        )
        return {str(value): (int(count), int(hashes)) for value, count, hashes in rows}

    def strays(self, known: tuple[str, ...]) -> dict[str, int]:
        """Rows under unknown epochs; see Side."""
        rows = self._run(
            f"SELECT _epoch, count() FROM {self._source} WHERE _lane = {{lane:String}}"
            " AND _epoch NOT IN {known:Array(String)} GROUP BY _epoch",
            {"lane": self._lane, "known": list(known)},
        )
        return {str(epoch): int(count) for epoch, count in rows}

    def query(self, query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Rows of a query over ``{source}``, for questions of the report alone."""
        return self._run(query.replace("{source}", self._source), parameters)

    def close(self) -> None:
        """Closes the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _hash(self, segment: Segment) -> str:
        contract = self._columns.of(segment.version)
        # The table has the newest types; they read older values without loss.
        return row_hash(contract, self._columns.later(segment.version))

    def where(self, segment: Segment) -> str:
        """Condition of the segment's rows; ``parameters`` gives its values."""
        where = f"{_PLACE} AND {{last:UInt64}}"
        if self._by_day and segment.stored_us is not None:
            where += " AND toDate(_stored_at) BETWEEN {since:Date} AND {until:Date}"
        return where

    def parameters(self, segment: Segment) -> dict[str, Any]:
        """Values of the condition ``where``."""
        values: dict[str, Any] = {
            "lane": self._lane,
            "epoch": segment.epoch,
            "first": segment.range.first,
            "last": segment.range.last,
        }
        if segment.stored_us is not None:
            since, until = segment.stored_us
            values["since"] = f"{EPOCH + timedelta(microseconds=since) - DAY:%Y-%m-%d}"
            values["until"] = f"{EPOCH + timedelta(microseconds=until) + DAY:%Y-%m-%d}"
        return values

    def _query(self, query: str, segment: Segment, **more: Any) -> list[tuple[Any, ...]]:
        return self._run(query, self.parameters(segment) | more)

    def _run(self, query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        try:
            if self._client is None:
                self._client = connect(self._clickhouse, timeout_s=QUERY_TIMEOUT_S)
            result = self._client.query(query, parameters, settings=self._settings)
        except ClickHouseError as error:
            raise translate(error, sent=False) from error
        self.scanned.rows += int(result.summary.get("read_rows", 0))
        self.scanned.bytes += int(result.summary.get("read_bytes", 0))
        return [tuple(row) for row in result.result_rows]
