"""SQL text, addresses and errors of Trino, without one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr
from trino.exceptions import HttpError, TrinoConnectionError, TrinoQueryError
from urllib3 import HTTPResponse

from ingest.errors import SettingsError, Terminal, Transient
from pipelines.cancel import Cancel
from pipelines.errors import (
    TrinoConflict,
    TrinoLimitReached,
    TrinoRefused,
    TrinoUnavailable,
    TrinoWriteFailed,
    WorkCancelled,
)
from pipelines.settings import TrinoSettings
from pipelines.trino_client import literal, quoted
from pipelines.trino_errors import refuse_by_status, translate
from pipelines.trino_link import address_of

WHERE = "https://127.0.0.1:8443"


def settings(url: str, ca_file: Path | None = None) -> TrinoSettings:
    """Settings with this URL."""
    return TrinoSettings(url=SecretStr(url), ca_file=ca_file)


def query_error(name: str, kind: str) -> TrinoQueryError:
    """What Trino says of a failed query."""
    return TrinoQueryError({"errorName": name, "errorType": kind, "message": "told"}, "q1")


def test_names_are_quoted_part_by_part() -> None:
    """A quote inside of a name is doubled; a dot in it does not part it."""
    assert quoted("iceberg", "a.b", 'x"y') == '"iceberg"."a.b"."x""y"'


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        ("it's", "'it''s'"),
        (12, "12"),
        (0.5, "0.5"),
        (True, "true"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "TIMESTAMP '2026-01-02 03:04:05.000006 UTC'"),
        (
            datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2))),
            "TIMESTAMP '2026-01-01 23:00:00.000000 UTC'",
        ),
    ],
)
def test_values_become_literals(value: str | float | datetime, sql: str) -> None:
    """Timestamps are told in UTC to the microsecond."""
    assert literal(value) == sql


def test_a_time_without_a_zone_is_no_literal() -> None:
    """It would mean another moment on another machine."""
    with pytest.raises(ValueError, match="no time zone"):
        literal(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


def test_the_address_has_user_and_password_of_the_url() -> None:
    """Percent-encoded parts are decoded; the password is never shown."""
    address = address_of(settings("https://me:p%40ss@lake.example:8443"))

    assert (address.host, address.port, address.user) == ("lake.example", 8443, "me")
    assert address.password == "p@ss"
    assert address.auth() is not None
    assert "p@ss" not in repr(address) + address.shown


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://me:secret@127.0.0.1:8080", "needs https"),
        ("trino://127.0.0.1", r"expected http\(s\)"),
        ("http://127.0.0.1:port", "no URL"),
    ],
)
def test_a_url_that_cannot_work_is_named(url: str, told: str) -> None:
    """The setting is named, the password is not repeated."""
    with pytest.raises(SettingsError, match=told) as caught:
        address_of(settings(url))

    assert "IOT_TRINO__URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message holds the setting and the path."""
    with pytest.raises(SettingsError, match="IOT_TRINO__CA_FILE"):
        address_of(settings("https://127.0.0.1:8443", tmp_path / "ca.pem"))


@pytest.mark.parametrize(
    ("name", "kind", "becomes"),
    [
        ("SYNTAX_ERROR", "USER_ERROR", TrinoRefused),
        ("ADMINISTRATIVELY_KILLED", "INSUFFICIENT_RESOURCES", WorkCancelled),
        ("USER_CANCELED", "USER_ERROR", WorkCancelled),
        ("EXCEEDED_LOCAL_MEMORY_LIMIT", "INSUFFICIENT_RESOURCES", TrinoLimitReached),
        ("QUERY_QUEUE_FULL", "INSUFFICIENT_RESOURCES", TrinoUnavailable),
        ("ICEBERG_COMMIT_ERROR", "EXTERNAL", TrinoConflict),
        ("HIVE_WRITER_DATA_ERROR", "EXTERNAL", TrinoWriteFailed),
        ("ICEBERG_FILESYSTEM_ERROR", "EXTERNAL", TrinoUnavailable),
        ("SERVER_SHUTTING_DOWN", "INTERNAL_ERROR", TrinoUnavailable),
    ],
)
def test_an_error_of_a_query_is_sorted_by_its_name_and_type(
    name: str, kind: str, becomes: type[Exception]
) -> None:
    """The sentence names what Trino called it, and the query."""
    found = translate(query_error(name, kind), WHERE, Cancel())

    assert type(found) is becomes
    assert name in str(found)
    assert "q1" in str(found)


def test_any_end_of_a_query_that_was_to_end_is_a_cancellation() -> None:
    """Whatever Trino says of it; the reason is kept."""
    cancel = Cancel()
    cancel.cancel("hot p99 3 s")

    for error in (query_error("SYNTAX_ERROR", "USER_ERROR"), TrinoConnectionError("gone")):
        found = translate(error, WHERE, cancel)
        assert isinstance(found, WorkCancelled)
        assert "hot p99 3 s" in str(found)


def test_a_server_that_does_not_answer_is_transient_and_a_strange_certificate_is_not() -> None:
    """Both sentences name the setting to mend."""
    away = translate(HttpError("error 500"), WHERE, Cancel())
    assert isinstance(away, Transient)
    assert "IOT_TRINO__URL" in str(away)

    strange = translate(requests.exceptions.SSLError("self-signed"), WHERE, Cancel())
    assert isinstance(strange, Terminal)
    assert "IOT_TRINO__CA_FILE" in str(strange)


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (401, "POST", TrinoRefused),
        (403, "GET", TrinoRefused),
        (404, "POST", TrinoRefused),
        (404, "GET", TrinoUnavailable),
        (410, "GET", TrinoUnavailable),
    ],
)
def test_a_status_is_sorted_by_its_number(
    status: int, method: str, becomes: type[Exception]
) -> None:
    """A query that Trino forgot is another thing than a server that is no Trino."""
    with pytest.raises(becomes):
        refuse_by_status(response(status, method))


@pytest.mark.parametrize("status", [200, 204, 429, 502, 503])
def test_statuses_that_pass_are_left_to_the_client(status: int) -> None:
    """It tries them again by itself."""
    refuse_by_status(response(status, "GET"))


def response(status: int, method: str) -> requests.Response:
    """An answer of a server."""
    found = requests.Response()
    found.status_code = status
    found.url = f"{WHERE}/v1/statement"
    found.raw = HTTPResponse(status=status)
    found.request = requests.Request(method, found.url).prepare()
    return found
