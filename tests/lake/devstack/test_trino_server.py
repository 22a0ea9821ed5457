"""The real Trino of the platform: who gets in, from where, and what yields to what."""

from __future__ import annotations

import http.client
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil
import pytest
from pydantic import SecretStr

from devstack.supervisor import Devstack
from devstack.trino.install import cache_folder
from pipelines.cancel import Cancel
from pipelines.errors import WorkCancelled
from pipelines.settings import TrinoSettings
from pipelines.trino_client import MAINTENANCE, Trino
from tests.support.lane import TestLane
from tests.support.waiting import until

LONG = "SELECT count(*) FROM tpch.sf1000.lineitem WHERE comment LIKE '%a%b%c%'"
"""Minutes of work in little memory."""


@pytest.fixture
def settings(trino_stack: Devstack) -> TrinoSettings:
    """What a client is told."""
    env = trino_stack.env
    return TrinoSettings(
        url=SecretStr(env["IOT_TRINO__URL"]), ca_file=Path(env["IOT_TRINO__CA_FILE"])
    )


@pytest.fixture
def trino(settings: TrinoSettings) -> Trino:
    """The platform's Trino."""
    return Trino(settings)


def ask(
    settings: TrinoSettings, path: str, body: str, *, login: str = "", kind: str = "text/plain"
) -> http.client.HTTPResponse:
    """One POST over TLS, with `login` (user:password) or without."""
    url = urlsplit(settings.url.get_secret_value())
    context = ssl.create_default_context(cafile=settings.ca_file)
    connection = http.client.HTTPSConnection(f"{url.hostname}:{url.port}", context=context)
    headers = {"X-Trino-User": "iot", "Content-Type": kind}
    if login:
        headers["Authorization"] = "Basic " + b64encode(login.encode()).decode()
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_every_catalog_answers(trino: Trino) -> None:
    """The lake and the three that come along."""
    assert trino.query("SHOW CATALOGS") == [
        (name,) for name in ("iceberg", "memory", "system", "tpcds", "tpch")
    ]
    assert trino.query("SELECT count(*) FROM tpch.tiny.nation") == [(25,)]
    assert trino.query("SELECT count(*) FROM tpcds.tiny.store") == [(2,)]


def test_nobody_gets_in_without_the_password(settings: TrinoSettings) -> None:
    """No login, a wrong password and another user's name are refused."""
    for login in ("", "iot:", "iot:wrong", "admin:admin"):
        assert ask(settings, "/v1/statement", "SELECT 1", login=login).status == 401


def test_the_plain_port_is_the_nodes_own(trino_stack: Devstack) -> None:
    """It takes no statement, with the password or without."""
    login = urlsplit(trino_stack.env["IOT_TRINO__URL"]).netloc.split("@")[0]
    listening = listeners(trino_stack)
    plain = listening - {urlsplit(trino_stack.env["IOT_TRINO__URL"]).port}
    assert len(plain) == 1
    for header in ({}, {"Authorization": "Basic " + b64encode(login.encode()).decode()}):
        connection = http.client.HTTPConnection("127.0.0.1", plain.copy().pop(), timeout=10)
        connection.request("POST", "/v1/statement", "SELECT 1", {"X-Trino-User": "iot", **header})
        assert connection.getresponse().status in {401, 403}
        connection.close()


def listeners(stack: Devstack) -> set[int | None]:
    """Ports that Trino listens on; all of them on loopback."""
    found = psutil.Process(stack.pid("trino")).net_connections("tcp")
    listening = [one.laddr for one in found if one.status == psutil.CONN_LISTEN]
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    return {address.port for address in listening}


def test_it_listens_on_loopback_only(trino_stack: Devstack) -> None:
    """Two ports: TLS for clients, and the node's own."""
    assert len(listeners(trino_stack)) == 2


def test_the_web_interface_takes_the_same_password(settings: TrinoSettings) -> None:
    """A right login gets a cookie, a wrong one none."""
    password = urlsplit(settings.url.get_secret_value()).password
    form = "application/x-www-form-urlencoded"
    cookies = {}
    for tried in (str(password), "wrong"):
        body = urlencode({"username": "iot", "password": tried})
        cookies[tried] = ask(settings, "/ui/login", body, kind=form).getheader("Set-Cookie", "")
    assert "Trino-UI-Token=" in cookies[str(password)]
    assert "Trino-UI-Token=" not in cookies["wrong"]


def test_secrets_are_in_no_argument_list(trino_stack: Devstack) -> None:
    """Everybody on the machine can read those; the files are private."""
    password = urlsplit(trino_stack.env["IOT_TRINO__URL"]).password
    process = psutil.Process(trino_stack.pid("trino"))
    assert str(password) not in " ".join(process.cmdline())
    folder = trino_stack.directory / "trino"
    assert folder.stat().st_mode & 0o077 == 0


def test_it_starts_from_the_class_archive(trino_stack: Devstack) -> None:
    """The file of the cache is mapped, and Java found nothing wrong with it."""
    mapped = {one.path for one in psutil.Process(trino_stack.pid("trino")).memory_maps()}
    archives = set(cache_folder().glob("classes-*.jsa"))
    assert {str(path) for path in archives} & mapped
    assert "shared archive file" not in trino_stack.log("trino").read_text().lower()


class Running:
    """A statement in a thread of its own, ended when the block ends."""

    def __init__(self, settings: TrinoSettings, source: str) -> None:
        self._trino = Trino(settings, source)
        self._cancel = Cancel()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._cancel.cancel("the test is over")
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with pytest.raises(WorkCancelled):
            self._trino.execute(LONG, cancel=self._cancel)


def states(trino: Trino, source: str) -> list[str]:
    """States of the long statements of a source that have not ended, the earlier first."""
    rows = trino.query(
        "SELECT state FROM system.runtime.queries WHERE source = ? AND query = ? "
        "AND state NOT IN ('FINISHED', 'FAILED') ORDER BY created",
        (source, LONG),
    )
    return [state for (state,) in rows]


@pytest.fixture
def busy(settings: TrinoSettings, trino: Trino) -> Iterator[None]:
    """A maintenance statement that runs through the test."""
    with Running(settings, MAINTENANCE):
        until(lambda: states(trino, MAINTENANCE) == ["RUNNING"], "maintenance runs", 60)
        yield


def test_a_second_maintenance_statement_waits(
    settings: TrinoSettings, trino: Trino, busy: None
) -> None:
    """Whatever asks for it, one runs at a time."""
    with Running(settings, MAINTENANCE):
        until(lambda: states(trino, MAINTENANCE) == ["RUNNING", "QUEUED"], "one waits", 60)


def test_other_statements_do_not_wait_for_maintenance(trino: Trino, busy: None) -> None:
    """They have a group of their own."""
    statement = trino.execute("SELECT count(*) FROM tpch.tiny.region")
    assert statement.rows == [(5,)]
    assert states(trino, MAINTENANCE) == ["RUNNING"]


def test_many_small_files_become_few(lake_lane: TestLane, trino: Trino) -> None:
    """OPTIMIZE fits into the platform's heap and keeps every row and the table's properties."""
    lake_lane.init()
    commits, rows = 120, 500
    lake_lane.publish(lake_lane.readings(commits * rows))
    writer = lake_lane.start("lake", IOT_LAKE__COMMIT_MAX_ROWS=str(rows))
    lake_lane.wait_lake(commits * rows, 120)
    assert writer.drain() == 0
    namespace, table = lake_lane.contract.namespace, lake_lane.contract.table
    name = f'iceberg."{namespace}"."{table}"'
    counted = f"SELECT count(*), count(DISTINCT _seq), sum(_seq) FROM {name}"
    files = f'SELECT count(*) FROM iceberg."{namespace}"."{table}$files"'
    before, properties = trino.query(counted), lake_lane.lake_table().properties
    [(many,)] = trino.query(files)
    Trino(trino.settings, MAINTENANCE).execute(f"ALTER TABLE {name} EXECUTE optimize")
    [(few,)] = trino.query(files)
    assert many >= 30
    assert few <= 2
    assert trino.query(counted) == before
    assert lake_lane.lake_table().properties == properties
