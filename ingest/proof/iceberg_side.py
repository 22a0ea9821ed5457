"""The Iceberg side: the data files of the table's current snapshot, read by ClickHouse.

Counts never come from snapshot summaries. ClickHouse is told which metadata file the catalog
calls current. Where ClickHouse cannot read the object store, PyArrow reads the same files here.
"""

from __future__ import annotations

from typing import Any

from pyiceberg.table import Table

from ingest.errors import IngestError, SettingsError
from ingest.proof.arrow_side import ArrowSide
from ingest.proof.canonical_sql import literal
from ingest.proof.side import Columns, Side
from ingest.proof.sql_side import SqlSide
from ingest.settings import S3Settings, Settings

NAME = "iceberg"


def iceberg_side(
    settings: Settings, table: Table, lane: str, columns: Columns, *, full: bool
) -> Side:
    """The lane's rows in the table as loaded; ``full`` reads every file, whatever its bounds say.

    An empty table is read by PyArrow, which has nothing to do.
    """
    if table.current_snapshot() is None:
        return ArrowSide(NAME, table, lane, columns, why="the table has no snapshot")
    try:
        side = SqlSide(
            NAME,
            iceberg_source(settings, table),
            lane,
            columns,
            settings.clickhouse,
            by_day=False,
            settings=_query_settings(full=full),
        )
        side.query("SELECT 1 FROM {source} LIMIT 1", {})
    except IngestError as error:
        return ArrowSide(NAME, table, lane, columns, why=str(error))
    side.how = "clickhouse icebergS3"
    return side


def iceberg_source(settings: Settings, table: Table) -> str:
    """``icebergS3(...)`` of the table's current metadata file.

    ClickHouse hides the credentials in its query log. Raises SettingsError when the table does not
    lie in the object store of the settings.
    """
    scheme, _, path = table.location().partition("://")
    if scheme not in {"s3", "s3a"} or not table.metadata_location.startswith(table.location()):
        raise SettingsError(
            f"the table lies at {table.location()} with metadata at {table.metadata_location};"
            " expected both below one s3:// location"
        )
    url = _url(settings.s3, path.rstrip("/"))
    metadata = table.metadata_location.removeprefix(table.location()).lstrip("/")
    arguments = (
        url,
        settings.s3.access_key.get_secret_value(),
        settings.s3.secret_key.get_secret_value(),
    )
    listed = ", ".join(map(literal, arguments))
    return f"icebergS3({listed}, SETTINGS iceberg_metadata_file_path = {literal(metadata)})"


def _url(s3: S3Settings, path: str) -> str:
    """The HTTP address of ``bucket/key/``."""
    endpoint = s3.endpoint.rstrip("/")
    if s3.addressing == "path":
        return f"{endpoint}/{path}/"
    scheme, _, host = endpoint.partition("://")
    bucket, _, key = path.partition("/")
    return f"{scheme}://{bucket}.{host}/{key}/"


def _query_settings(*, full: bool) -> dict[str, Any]:
    # A table dropped and made again has metadata files of the same names: no cache.
    settings: dict[str, Any] = {"use_iceberg_metadata_files_cache": 0}
    if full:
        settings |= {
            "use_iceberg_partition_pruning": 0,
            "use_iceberg_manifest_list_partition_pruning": 0,
            "input_format_parquet_filter_push_down": 0,
        }
    return settings
