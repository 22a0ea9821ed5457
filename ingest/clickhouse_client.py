"""Connections to ClickHouse, and what its errors mean to a writer."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from clickhouse_connect.driver.httpclient import HttpClient

from ingest.errors import (
    IngestError,
    OutcomeUnknownError,
    SchemaMismatchError,
    SettingsError,
    SinkUnavailableError,
)
from ingest.settings import ClickHouseSettings

# Codes of src/Common/ErrorCodes.cpp. Every code in neither list passes: wait, never drop.
WRONG_SCHEMA = {
    6: "CANNOT_PARSE_TEXT",
    16: "NO_SUCH_COLUMN_IN_TABLE",
    36: "BAD_ARGUMENTS",
    43: "ILLEGAL_TYPE_OF_ARGUMENT",
    44: "ILLEGAL_COLUMN",
    47: "UNKNOWN_IDENTIFIER",
    50: "UNKNOWN_TYPE",
    53: "TYPE_MISMATCH",
    60: "UNKNOWN_TABLE",
    62: "SYNTAX_ERROR",
    70: "CANNOT_CONVERT_TYPE",
    81: "UNKNOWN_DATABASE",
    115: "UNKNOWN_SETTING",
    117: "INCORRECT_DATA",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    636: "CANNOT_EXTRACT_TABLE_STRUCTURE",
}
REFUSED = {
    192: "UNKNOWN_USER",
    193: "WRONG_PASSWORD",
    194: "REQUIRED_PASSWORD",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}


def database_of(settings: ClickHouseSettings) -> str:
    """The database that the URL names, ``default`` when it names none."""
    return urlsplit(settings.url.get_secret_value()).path.strip("/") or "default"


def connect(
    settings: ClickHouseSettings, *, database: str | None = None, timeout_s: float | None = None
) -> Client:
    """A client that sends everything at most once.

    ``timeout_s`` is the longest wait for an answer (default: clickhouse.query_timeout_s).
    ``database`` replaces the URL's; "" names none. Raises as ``translate``.
    """
    url = urlsplit(settings.url.get_secret_value())
    try:
        client = clickhouse_connect.get_client(
            interface=url.scheme,
            host=url.hostname or "127.0.0.1",
            port=url.port or (8443 if url.scheme == "https" else 8123),
            username=unquote(url.username or "default"),
            password=unquote(url.password or ""),
            database=database_of(settings) if database is None else database or "__default__",
            compress="lz4" if url.hostname not in {"127.0.0.1", "localhost", "::1"} else False,
            connect_timeout=int(settings.connect_timeout_s) or 1,
            send_receive_timeout=int(timeout_s or settings.query_timeout_s) or 1,
            query_retries=0,
            autogenerate_session_id=False,
            dedicated_pool=True,
            settings={"max_threads": settings.query_threads} if settings.query_threads else None,
        )
    except ClickHouseError as error:
        raise translate(error, sent=False) from error
    if isinstance(client, HttpClient):
        # urllib3 would open a connection again by itself; whether to send twice is ours to decide.
        client.http_retries = 0
    return client


def translate(error: ClickHouseError, *, sent: bool = True) -> IngestError:
    """The error as a writer's decision: wait, look, or stop.

    ``sent`` says that a write was on its way, so that a missing answer leaves its outcome unknown.
    """
    code = error.code if isinstance(error, DatabaseError | OperationalError) else None
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:400]
    if code in WRONG_SCHEMA:
        return SchemaMismatchError(
            f"ClickHouse refuses the rows ({WRONG_SCHEMA[code]}): {text}; compare the table with"
            " `ingest schema diff`"
        )
    if code in REFUSED:
        return SettingsError(
            f"ClickHouse refuses clickhouse.url (IOT_CLICKHOUSE__URL), {REFUSED[code]}: {text}"
        )
    if code is not None or not sent:
        return SinkUnavailableError(f"ClickHouse refuses for now: {text}")
    return OutcomeUnknownError(f"ClickHouse did not answer: {text}")
