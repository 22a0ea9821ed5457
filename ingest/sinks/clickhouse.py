"""The ClickHouse sink: one insert is one part, all or nothing, and can be looked up.

The sink knows no stream and no key-value entry; it stores a block under a token, and answers what
rows it holds. Its methods block and run in worker threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.clickhouse_client import connect, translate
from ingest.contract import Contract
from ingest.marks import Mark
from ingest.ranges import SequenceRange
from ingest.settings import ClickHouseSettings

INSERT_BLOCK_ROWS = 2_000_000
"""Above the largest batch: a block that ClickHouse splits would make more than one part."""


class ClickHouseSink:
    """Rows of one lane in one table.

    ``deadline_s`` bounds an insert on both sides: after it, a sent insert can no longer land.
    """

    def __init__(
        self, settings: ClickHouseSettings, contract: Contract, lane: str, deadline_s: float
    ) -> None:
        self._settings = settings
        self._lane = lane
        self._deadline_s = deadline_s
        self.table = f"{contract.namespace}.{contract.table}"
        self._writer: Client | None = None
        self._reader: Client | None = None

    def insert(self, rows: pa.RecordBatch, token: str, within_s: float) -> None:
        """Stores the rows as one part under the deduplication token; durable on return.

        ``within_s`` is the longest that the server may work on it.
        Raises SinkUnavailableError (nothing is on its way any more), OutcomeUnknownError (it may
        still land until the deadline), SchemaMismatchError or SettingsError.
        """
        if self._writer is None:
            self._writer = connect(self._settings, timeout_s=self._deadline_s)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_batch(rows)
        try:
            # A file object, not bytes: clickhouse-connect sends bytes a second time by itself when
            # the connection closes.
            self._writer.raw_insert(
                self.table,
                column_names=rows.schema.names,
                insert_block=pa.BufferReader(sink.getvalue()),
                fmt="ArrowStream",
                settings=_insert_settings(token, within_s),
            )
        except ClickHouseError as error:
            raise translate(error) from error

    def rows_in(self, covered: SequenceRange, last: Mark) -> int:
        """Rows of exactly that lane, epoch and range; one partition is read.

        ``last`` is the range's last message: it gives the epoch and the UTC day.
        """
        return int(
            self._one(
                f"SELECT count() FROM {self.table} WHERE _lane = {{lane:String}}"
                " AND _epoch = {epoch:String} AND _seq BETWEEN {first:UInt64} AND {last:UInt64}"
                " AND toDate(_stored_at) = {day:Date}",
                epoch=last.epoch,
                first=covered.first,
                last=covered.last,
                day=_day(last),
            )
        )

    def has_row(self, row: Mark) -> bool:
        """Whether the row's message is there."""
        return self.rows_in(SequenceRange(row.sequence, row.sequence), row) > 0

    def newest_above(self, mark: Mark) -> int | None:
        """Largest sequence of the epoch above the mark, or None."""
        found = self._one(
            f"SELECT max(_seq) FROM {self.table} WHERE _lane = {{lane:String}}"
            " AND _epoch = {epoch:String} AND _seq > {sequence:UInt64}"
            " AND toDate(_stored_at) >= {since:Date}",
            epoch=mark.epoch,
            sequence=mark.sequence,
            since=_day(mark),
        )
        return int(found) or None

    def nearest_row(self, sequence: int, epoch: str = "") -> Mark | None:
        """The lane's row with the largest sequence up to ``sequence``, of any epoch or one."""
        found = self._rows(
            f"SELECT _epoch, _seq, toUnixTimestamp64Micro(_stored_at) FROM {self.table}"
            " WHERE _lane = {lane:String} AND _seq <= {sequence:UInt64}"
            " AND (_epoch = {epoch:String} OR {epoch:String} = '')"
            " ORDER BY _seq DESC, _stored_at DESC LIMIT 1",
            sequence=sequence,
            epoch=epoch,
        )
        return Mark(found[0][0], int(found[0][1]), int(found[0][2])) if found else None

    def newest_day(self) -> str | None:
        """UTC day (YYYY-MM-DD) of the lane's newest stored row, or None without rows."""
        found = self._rows(
            f"SELECT toString(max(toDate(_stored_at))), count() FROM {self.table}"
            " WHERE _lane = {lane:String}"
        )
        return str(found[0][0]) if found and int(found[0][1]) else None

    def columns(self) -> dict[str, str]:
        """Type of every column of the table, in order; empty when there is no table."""
        database, _, table = self.table.partition(".")
        found = self._rows(
            "SELECT name, type FROM system.columns"
            " WHERE database = {database:String} AND table = {table:String} ORDER BY position",
            database=database,
            table=table,
        )
        return {str(name): str(kind) for name, kind in found}

    def close(self) -> None:
        """Closes the connections."""
        for client in (self._writer, self._reader):
            if client is not None:
                client.close()
        self._writer = self._reader = None

    def _one(self, query: str, **parameters: Any) -> Any:
        return self._rows(query, **parameters)[0][0]

    def _rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        bound: Mapping[str, Any] = {"lane": self._lane, **parameters}
        try:
            if self._reader is None:
                self._reader = connect(self._settings)
            return [tuple(row) for row in self._reader.query(query, dict(bound)).result_rows]
        except ClickHouseError as error:
            raise translate(error, sent=False) from error


def _day(mark: Mark) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=mark.stored_at_us)).strftime(
        "%Y-%m-%d"
    )


def _insert_settings(token: str, within_s: float) -> dict[str, Any]:
    return {
        "insert_deduplication_token": token,
        "insert_deduplicate": 1,
        "async_insert": 0,
        "max_execution_time": round(within_s, 3),
        "max_insert_block_size": INSERT_BLOCK_ROWS,
        "min_insert_block_size_rows": INSERT_BLOCK_ROWS,
        "min_insert_block_size_bytes": 0,
        "input_format_parallel_parsing": 0,
    }
