"""The sinks' side of a lane's status; every function blocks."""

from __future__ import annotations

from clickhouse_connect.driver.exceptions import ClickHouseError
from pyiceberg.table import Table

from ingest import clickhouse_client
from ingest.contract import Contract
from ingest.errors import SchemaMismatchError
from ingest.fence import FenceRecord
from ingest.settings import Settings
from ingest.sinks.iceberg import IcebergSink
from ingest.status_nats import age_s
from ingest.status_record import PathStatus, TableStatus


def clickhouse_table(settings: Settings, contract: Contract) -> TableStatus:
    """Rows, active parts and bytes on disk, from the server's own books.

    Raises SinkUnavailableError, SettingsError, or SchemaMismatchError when there is no table.
    """
    name = f"{contract.namespace}.{contract.table}"
    client = clickhouse_client.connect(settings.clickhouse, database="")
    try:
        found = client.query(
            "SELECT count(), sum(p.rows), countIf(p.name != ''), sum(p.bytes_on_disk)"
            " FROM system.tables AS t LEFT JOIN (SELECT * FROM system.parts WHERE active) AS p"
            " ON p.database = t.database AND p.table = t.name"
            " WHERE t.database = {database:String} AND t.name = {table:String}",
            {"database": contract.namespace, "table": contract.table},
        ).result_rows[0]
    except ClickHouseError as error:
        raise clickhouse_client.translate(error, sent=False) from error
    finally:
        client.close()
    if not found[0]:
        raise SchemaMismatchError(f"ClickHouse has no table {name}; run `ingest init` first")
    return TableStatus(name, int(found[1]), int(found[2]), int(found[3]))


def iceberg_table(sink: IcebergSink, table: Table) -> TableStatus:
    """Rows, data files and bytes of the table's current snapshot, from its summary."""
    snapshot = table.current_snapshot()
    told = snapshot.summary if snapshot else None

    def total(name: str) -> int:
        return int((told.get(f"total-{name}") if told else None) or 0)

    return TableStatus(
        ".".join(sink.table_name), total("records"), total("data-files"), total("files-size")
    )


def lake_status(
    sink: IcebergSink, table: Table, fence: FenceRecord | None, holder: str | None
) -> PathStatus:
    """The lake path by the table's watermark property."""
    watermark = sink.watermark(table)
    return PathStatus(
        position=watermark.sequence if watermark else 0,
        epoch=watermark.epoch if watermark else "",
        pending=None,
        fence=fence.number if fence else None,
        fence_writer=fence.writer if fence else None,
        lease_holder=holder,
        lag_messages=None,
        freshness_s=age_s(sink.last_row(table)),
        dropped_in_s=None,
        dropped_unread=None,
    )
