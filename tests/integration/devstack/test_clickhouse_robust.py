"""Failing, huge, abandoned and killed statements leave the server well."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from devstack.supervisor import Devstack
from tests.integration.devstack.conftest import Connect, Curl
from tests.support.waiting import until

ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"


def running(curl: Curl, query_id: str) -> bool:
    """Whether the query of that id runs now."""
    comment = f"Settings['log_comment'] = '{query_id}'"
    return curl(f"SELECT count() FROM system.processes WHERE {comment}").text == "1\n"


def send_only(curl: Curl, sql: str, query_id: str) -> socket.socket:
    """A connection on which a query was sent and nothing was read."""
    host, port = curl.address.split(":")
    connection = socket.create_connection((host, int(port)))
    head = (
        f"POST /?user={curl.user}&password={curl.password}&query_id={query_id}"
        f"&database={curl.database} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sql)}\r\n\r\n"
    )
    connection.sendall((head + sql).encode())
    return connection


def test_a_query_stops_when_its_client_leaves(curl: Curl) -> None:
    """An abandoned computation is stopped within moments."""
    connection = send_only(curl, ENDLESS, "abandoned")
    until(lambda: running(curl, "abandoned"), "the query runs")
    connection.close()
    until(lambda: not running(curl, "abandoned"), "the query is stopped")


def test_a_reader_that_stalls_holds_no_memory(stack: Devstack, curl: Curl) -> None:
    """An endless result waits in the pipe; closing the connection ends its query."""
    process = psutil.Process(stack.pid("clickhouse"))
    connection = send_only(curl, "SELECT number FROM numbers(100000000000)", "stalled")
    until(lambda: running(curl, "stalled"), "the query runs")
    connection.recv(1000)
    before = process.memory_info().rss
    assert curl("SELECT 1").text == "1\n"
    assert process.memory_info().rss - before < 200 << 20
    connection.close()
    until(lambda: not running(curl, "stalled"), "the query is stopped")


def test_a_write_goes_on_when_its_client_leaves(curl: Curl) -> None:
    """As on the real server: the outcome of an abandoned insert is decided by the server."""
    curl("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    rows = "SELECT number + sleepEachRow(0.1) FROM numbers(10)"
    slow = f"INSERT INTO t {rows} SETTINGS max_block_size = 1"
    connection = send_only(curl, slow, "left-behind")
    until(lambda: running(curl, "left-behind"), "the insert runs")
    connection.close()
    until(lambda: curl("SELECT count() FROM t").text == "10\n", "the rows are there")


def test_kill_query_finds_the_clients_id(stack: Devstack, connect: Connect, curl: Curl) -> None:
    """KILL QUERY WHERE query_id = ... works with the id that the client chose."""
    with ThreadPoolExecutor(1) as pool:
        victim = pool.submit(connect().query, ENDLESS, settings={"query_id": "vic'tim"})
        until(lambda: running(curl, "vic\\'tim"), "the query runs")
        with pytest.raises(DatabaseError) as refused:
            connect().query("SELECT 1", settings={"query_id": "vic'tim"})
        assert refused.value.code == 216
        connect("admin").command(r"KILL QUERY WHERE query_id = 'vic\'tim'")
        with pytest.raises(DatabaseError) as caught:
            victim.result(30)
    assert caught.value.code == 394


def test_a_query_that_wants_too_much_memory_fails_alone(connect: Connect) -> None:
    """It gets the memory error; a neighbour that works meanwhile does not notice."""
    with ThreadPoolExecutor(1) as pool:
        greedy = pool.submit(
            connect().query, "SELECT length(groupArray(number)) FROM numbers(1e10)"
        )
        neighbour = connect()
        while not greedy.done():
            assert neighbour.query("SELECT sum(number) FROM numbers(1000)").result_rows == [
                (499500,)
            ]
        with pytest.raises(DatabaseError) as caught:
            greedy.result()
    assert caught.value.code == 241


def test_more_clients_than_workers_are_all_served(curl: Curl) -> None:
    """Statements beyond the worker threads wait and are then run."""
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda n: curl(f"SELECT {n}, sleep(0.05)").text, range(40)))
    assert answers == [f"{number}\t0\n" for number in range(40)]


def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """The server stops taking it, says so and goes on serving."""
    with standalone(tmp_path, "--max-body-mib", "1") as curl:
        curl("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
        answer = curl(b"INSERT INTO t FORMAT TSV\n" + b"1\n" * (1 << 20))
        assert answer.headers["x-clickhouse-exception-code"] == "307"
        assert curl("SELECT count() FROM t").text == "0\n"


def test_the_official_images_environment_makes_user_and_database(tmp_path: Path) -> None:
    """CLICKHOUSE_USER, CLICKHOUSE_PASSWORD and CLICKHOUSE_DB are understood."""
    with standalone(tmp_path) as curl:
        curl.database = ""
        assert curl("SELECT currentDatabase()").text == "here\n"
        assert curl("CREATE DATABASE another").status == 200


def test_unused_sessions_end(tmp_path: Path) -> None:
    """A session is closed after its timeout and its temporary tables with it."""
    with standalone(tmp_path) as curl:
        session = {"session_id": "s", "session_timeout": "1"}
        curl("CREATE TEMPORARY TABLE mine (n Int32)", **session)
        assert curl("SELECT count() FROM mine", **session).text == "0\n"
        until(
            lambda: curl("SELECT 1", session_check="1", **session).status != 200,
            "the session is gone",
            every_s=2.5,  # a look at a session keeps it for another second
        )


def test_a_locked_session_is_refused(curl: Curl) -> None:
    """Two requests cannot use one session at the same time."""
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(
            curl, "SELECT sleepEachRow(0.3) FROM numbers(5)", session_id="one", query_id="holder"
        )
        until(lambda: running(curl, "holder"), "the first query runs")
        second = curl("SELECT 1", session_id="one")
        assert second.headers["x-clickhouse-exception-code"] == "373"
        assert first.result().status == 200


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """It says in one sentence that the directory is in use."""
    with standalone(tmp_path):
        command = [sys.executable, "-m", "devstack.clickhouse", "--port", "0"]
        again = subprocess.run(
            [*command, "--path", str(tmp_path / "data")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert again.returncode == 1
    assert "clickhouse: the engine does not start in" in again.stderr


class standalone:  # noqa: N801  # reads as a function
    """The server on its own, with the environment of the official image."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._command = [
            *(sys.executable, "-m", "devstack.clickhouse", "--port", str(port)),
            *("--path", str(folder / "data"), *options),
        ]
        self.curl = Curl(f"http://joe:secret@127.0.0.1:{port}/", "here")

    def __enter__(self) -> Curl:
        image = {"CLICKHOUSE_USER": "joe", "CLICKHOUSE_PASSWORD": "secret", "CLICKHOUSE_DB": "here"}
        self._process = subprocess.Popen(
            self._command, env=os.environ | image, stderr=subprocess.DEVNULL
        )
        until(self._answers, "the server answers")
        return self.curl

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        assert self._process.wait(10) == 0

    def _answers(self) -> bool:
        try:
            return self.curl("SELECT 1").text == "1\n"
        except OSError:
            return False
