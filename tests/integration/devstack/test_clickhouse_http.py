"""The HTTP interface by hand, as with curl."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.statement import parse
from tests.integration.devstack.conftest import Curl

ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"


@pytest.mark.parametrize("path", ["/", "/ping", "/replicas_status"])
def test_health_paths_answer_ok_without_a_login(curl: Curl, path: str) -> None:
    """A probe needs no password."""
    answer = curl(path=path, login=False)
    assert (answer.status, answer.text) == (200, "Ok.\n")


def test_an_unknown_path_is_not_found(curl: Curl) -> None:
    """The answer says where to look."""
    answer = curl(path="/nowhere")
    assert answer.status == 404
    assert "/ping" in answer.text


def test_a_query_comes_in_the_body_or_in_the_address(curl: Curl) -> None:
    """Both at once are joined, and the default format is TabSeparated."""
    assert curl("SELECT 1, 'a'").text == "1\ta\n"
    assert curl(query="SELECT 1, 'a'").text == "1\ta\n"
    assert curl("UNION ALL SELECT 2", query="SELECT 1").text in ("1\n2\n", "2\n1\n")
    assert curl("SELECT 1 AS x FORMAT JSONEachRow").text == '{"x":1}\n'
    assert curl("SELECT 1 AS x", default_format="CSVWithNames").text == '"x"\n1\n'
    assert curl("SELECT 1", headers={"X-ClickHouse-Format": "CSV"}).text == "1\n"
    assert curl("SELECT {n:Int32} + 1", param_n="41").text == "42\n"


def test_headers_of_an_answer(curl: Curl) -> None:
    """Format, time zone, query id and summary are the real server's headers."""
    answer = curl("SELECT number FROM numbers(5) FORMAT JSON", query_id="by-hand")
    assert answer.headers["x-clickhouse-format"] == "JSON"
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.headers["x-clickhouse-query-id"] == "by-hand"
    assert answer.headers["x-clickhouse-timezone"]
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("5", "5")
    assert json.loads(answer.text)["rows"] == 5


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELECT * FROM nowhere", 404, 60),
        ("SELEC", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("DROP TABLE default.t", 403, 497),
        ("SELECT toInt32('x')", 400, 6),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 FORMAT Nope", 404, 73),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 500, 344),
        (f"{ENDLESS} SETTINGS max_execution_time = 1", 408, 159),
    ],
)
def test_errors_have_the_servers_status_code_and_wording(
    curl: Curl, sql: str, status: int, code: int
) -> None:
    """Status by class of error, code in the header, the server's sentence in the body."""
    answer = curl(sql)
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (status, str(code))
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "(version " in answer.text


def test_ways_to_log_in(curl: Curl) -> None:
    """Basic, X-ClickHouse-User and -Key, parameters; none at all is the unknown user default."""
    custom = {"X-ClickHouse-User": curl.user, "X-ClickHouse-Key": curl.password}
    asked = "SELECT 1"
    assert curl(asked, login=False, headers=custom).text == "1\n"
    assert curl(asked, login=False, user=curl.user, password=curl.password).text == "1\n"
    for answer in (
        curl(asked, login=False),
        curl(asked, headers=custom),
        curl(asked, login=False, user=curl.user, password="wrong"),
    ):
        assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (403, "516")


def test_get_only_reads(curl: Curl) -> None:
    """A GET that would change something is refused; the same POST is served."""
    make = "CREATE TABLE t (n Int32) ENGINE = MergeTree ORDER BY n"
    answer = curl(query=make)
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (500, "164")
    assert curl(make).status == 200
    assert curl(query="SELECT count() FROM t").text == "0\n"
    assert curl(query="SELECT 1", method="HEAD").body == b""


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", "INSERT INTO t VALUES (1,'a'),(2,'b;c')"),
        ("", "INSERT INTO t VALUES (1,'a'),(2,'b;c');"),
        ("", "INSERT INTO t (n, s) FORMAT CSV\n1,a\n2,b;c\n"),
        ("", 'INSERT INTO t FORMAT JSONEachRow {"n":1,"s":"a"} {"n":2,"s":"b;c"}'),
        ("", "INSERT INTO t SETTINGS max_insert_block_size=10 FORMAT TSV\n1\ta\n2\tb;c\n"),
        ("", "insert into t select 1, 'a' union all select 2, 'b;c'"),
        (
            "",
            "INSERT INTO t WITH 'b;c' AS s SELECT number + 1, number = 0 ? 'a' : s FROM numbers(2)",
        ),
        ("INSERT INTO t FORMAT CSV", "1,a\n2,b;c\n"),
        ("INSERT INTO t FORMAT CSV\n", "1,a\n2,b;c\n"),
        ("INSERT INTO t VALUES", "(1,'a'),(2,'b;c')"),
        ("INSERT INTO t VALUES (1,'a'),", "(2,'b;c')"),
        ("INSERT INTO t", "SELECT 1, 'a' UNION ALL SELECT 2, 'b;c'"),
        ("INSERT INTO t FORMAT Values", "({a:UInt64}, 'a'), (2, 'b;c')"),
        ("INSERT INTO t VALUES (1,'a'),(2,'b;c')", ""),
    ],
)
def test_every_way_to_write_an_insert(curl: Curl, query: str, body: str) -> None:
    """Statement and data may stand in the address, in the body, or be split between them."""
    curl("CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    answer = curl(body, query=query, param_a="1")
    assert (answer.status, answer.text) == (200, "")
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "2"
    assert curl("SELECT * FROM t").text == "1\ta\n2\tb;c\n"


def test_a_compressed_body_and_answer(curl: Curl) -> None:
    """Content-Encoding is undone, Accept-Encoding is honoured when compression is switched on."""
    packed = gzip.compress(b"SELECT repeat('x', 100000)")
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    answer = curl(packed, headers=headers, enable_http_compression="1")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == b"x" * 100_000 + b"\n"
    assert "content-encoding" not in curl(packed, headers=headers).headers


@pytest.mark.parametrize(
    ("body", "coding", "code"),
    [
        (b"SELECT 1", "snappy", "89"),
        (b"no gzip at all", "gzip", "408"),
        (gzip.compress(b"SELECT 1" * 9, mtime=0)[:-6], "gzip", "408"),
        (gzip.compress(b"SELECT 1", mtime=0) + b"more", "gzip", "408"),
    ],
)
def test_a_broken_compressed_body_is_an_error(
    curl: Curl, body: bytes, coding: str, code: str
) -> None:
    """Nothing of a body that is cut short or not what it says is run."""
    answer = curl(body, headers={"Content-Encoding": coding})
    assert answer.headers["x-clickhouse-exception-code"] == code


def test_native_block_compression_is_refused_clearly(curl: Curl) -> None:
    """What is not served says so instead of answering something else."""
    answer = curl("SELECT 1", compress="1")
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (501, "48")


def test_sessions_by_hand(curl: Curl) -> None:
    """session_check asks for one that exists; a wrong timeout is refused; names are per user."""
    assert curl("SET max_threads = 1", session_id="s1").status == 200
    ask = "SELECT getSetting('max_threads')"
    assert curl(ask, session_id="s1", session_check="1").text == "1\n"
    unknown = curl(ask, session_id="other", session_check="1")
    assert unknown.headers["x-clickhouse-exception-code"] == "372"
    for timeout in ("x", "99999"):
        answer = curl(ask, session_id="s1", session_timeout=timeout)
        assert answer.headers["x-clickhouse-exception-code"] == "374"


def test_a_query_id_cannot_break_the_headers(curl: Curl) -> None:
    """Line ends in a client's query id do not reach the answer's head."""
    answer = curl("SELECT 1", query_id="a\r\nX-Evil: 1")
    assert "x-evil" not in answer.headers
    assert answer.headers["x-clickhouse-query-id"] == "aX-Evil: 1"


def test_a_statement_that_is_too_long_or_no_text(curl: Curl) -> None:
    """Both are the client's errors and leave the server well."""
    assert curl(b"SELECT '" + b"x" * (17 << 20) + b"'").status == 413
    assert curl(b"SELECT '\xff\xfe'").headers["x-clickhouse-exception-code"] == "62"
    assert curl(b"SELECT 1\x00").headers["x-clickhouse-exception-code"] == "62"
    assert curl("SELECT 1").text == "1\n"


_PIECES = st.sampled_from(
    [
        *("SELECT 1", " AS `a;b`", ", 'it''s; -- '", ", $$;'$$", " /* ; /* ' */ */ ", " -- ; '\n"),
        *("'\\';'", " FROM numbers(3)", " FORMAT CSV", " SETTINGS max_threads = 1", ', "x""y"'),
        *(
            " UNION ALL SELECT 2",
            "(",
            ")",
            " // ;\n",
            "#! ;\n",
            ", \u2018;\u2019",
            ";",
            " AS format",
            ", 1",
        ),
        *("INSERT INTO t", " VALUES (1)", " FORMAT", "WITH 1 AS x ", " x", " WHERE 1", "$a$;$a$"),
    ]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_PIECES, min_size=1, max_size=7).map("".join))
def test_the_parser_agrees_with_the_engine(curl: Curl, sql: str) -> None:
    """What the engine takes for one statement is one here, of the same kind and format."""
    answer = curl("SELECT formatQueryOrNull({q:String}) FORMAT JSONCompact", param_q=_escaped(sql))
    assert answer.status == 200, answer.text
    formatted = json.loads(answer.text)["data"][0][0]
    if formatted is None or sql.lstrip().startswith("INSERT"):
        return
    try:
        ours = parse(sql.encode())
    except ServerError as error:
        pytest.fail(f"{sql!r} is one statement to the engine: {error}")
    theirs = parse(formatted.encode())
    assert (ours.kind, ours.format) == (theirs.kind, theirs.format)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
