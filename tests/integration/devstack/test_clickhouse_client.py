"""The embedded server serves clickhouse-connect as it is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from devstack.supervisor import Devstack
from tests.integration.devstack.conftest import Connect

ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"
ROWS = [
    [1, "a", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)],
    [2, "b'\\\t\n", datetime(1999, 1, 1, tzinfo=UTC)],
]


def make_table(client: clickhouse_connect.driver.client.Client) -> None:
    """A table of three columns for `ROWS`."""
    client.command(
        "CREATE TABLE t (n UInt64, s String, at DateTime('UTC')) ENGINE = MergeTree ORDER BY n"
    )


@pytest.mark.parametrize("compress", [True, False, "lz4", "zstd", "gzip"])
def test_rows_inserted_natively_come_back(connect: Connect, compress: bool | str) -> None:
    """Native inserts and queries work under each of the client's compressions, both ways."""
    client = connect(compress=compress)
    make_table(client)

    summary = client.insert("t", ROWS, column_names=["n", "s", "at"])

    assert summary.written_rows == 2
    assert client.query("SELECT * FROM t ORDER BY n", column_formats={}).result_rows == [
        (1, "a", datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001  # the client's own way
        (2, "b'\\\t\n", datetime(1999, 1, 1)),  # noqa: DTZ001
    ]


@pytest.mark.parametrize("compression", [None, "lz4", "zstd", "gzip"])
def test_an_arrow_table_comes_back_equal(connect: Connect, compression: str | None) -> None:
    """Arrow inserts and queries work, plain and compressed."""
    client = connect(compress=compression or False)
    client.command("CREATE TABLE t (n Int64, x Nullable(Float64)) ENGINE = MergeTree ORDER BY n")
    table = pa.table({"n": pa.array(range(1000), pa.int64()), "x": pa.array([0.5, None] * 500)})

    assert client.insert_arrow("t", table).written_rows == 1000
    assert client.query_arrow("SELECT * FROM t ORDER BY n").cast(table.schema).equals(table)


def test_a_large_stream_of_arrow_batches_comes_in_pieces(connect: Connect) -> None:
    """Rows stream to the client while the query runs, compressed, in bounded memory."""
    client = connect()
    sql = "SELECT number AS n, toString(number) AS s FROM numbers(2000000)"

    with client.query_arrow_stream(sql) as batches:
        rows = sum(batch.num_rows for batch in batches)

    assert rows == 2_000_000


def test_bound_parameters_keep_their_values(connect: Connect) -> None:
    """Strings with every awkward character, lists, times and NULL pass unharmed."""
    client = connect()
    text = "it's \\ a\ttab\nand `ticks` {x:String} ; -- $$"
    values = {"s": text, "l": [1, 2], "t": datetime(2026, 1, 1), "n": None, "big": "x" * 50_000}  # noqa: DTZ001

    row = client.query(
        "SELECT {s:String}, {l:Array(Int32)}, {t:DateTime}, {n:Nullable(Int32)}, "
        "length({big:String})",
        parameters=values,
    ).result_rows[0]

    assert row == (text, [1, 2], values["t"], None, 50_000)


def test_settings_hold_for_their_query_only(connect: Connect) -> None:
    """A setting of one query is gone in the next one of the same session."""
    client = connect()
    ask = "SELECT getSetting('max_block_size'), getSetting('max_threads')"
    before = client.query(ask).result_rows

    assert client.query(ask, settings={"max_block_size": 77}).result_rows[0][0] == 77
    assert client.query(ask).result_rows == before


def test_set_and_use_hold_for_their_session(connect: Connect, database: str) -> None:
    """SET lasts, also under a query's own setting; another session sees nothing of it."""
    client, other = connect(database="default"), connect(database="default")
    ask = "SELECT getSetting('max_block_size')"
    client.command("SET max_block_size = 55")
    client.command(f"USE {database}")

    assert client.query(ask).result_rows == [(55,)]
    assert client.query(ask, settings={"max_block_size": 66}).result_rows == [(66,)]
    assert client.query(ask).result_rows == [(55,)]
    assert other.query(ask).result_rows != [(55,)]
    client.command("SET max_block_size = 44")
    assert client.query(ask).result_rows == [(44,)]


def test_a_temporary_table_lives_in_its_session(connect: Connect) -> None:
    """Made, filled and read by the same client; unknown to another."""
    client, other = connect(), connect()
    client.command("CREATE TEMPORARY TABLE mine (n Int32)")
    client.insert("mine", [[1], [2]], column_names=["n"], database="")

    assert client.query("SELECT sum(n) FROM mine").result_rows == [(3,)]
    with pytest.raises(DatabaseError) as caught:
        other.query("SELECT * FROM mine")
    assert caught.value.code == 60


def test_external_data_is_a_table_of_one_query(connect: Connect) -> None:
    """Rows sent along can be joined, and are gone afterwards."""
    client = connect()
    sent = ExternalData(
        file_name="ext.csv", data=b"1,a\n2,b\n", fmt="CSV", structure="n Int32, s String"
    )

    assert client.query("SELECT * FROM ext ORDER BY n", external_data=sent).result_rows == [
        (1, "a"),
        (2, "b"),
    ]
    with pytest.raises(DatabaseError):
        client.query("SELECT * FROM ext")


@pytest.mark.parametrize(
    ("sql", "code", "name"),
    [
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR"),
        ("SELECT * FROM nowhere", 60, "UNKNOWN_TABLE"),
        ("SELECT nothing", 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT * FROM nobase.t", 81, "UNKNOWN_DATABASE"),
        ("SELECT throwIf(1)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        (f"{ENDLESS} SETTINGS max_execution_time = 1", 159, "TIMEOUT_EXCEEDED"),
        ("CREATE TABLE t (n Int32) ENGINE = Nope", 56, "UNKNOWN_STORAGE"),
    ],
)
def test_errors_carry_clickhouses_code_and_name(
    connect: Connect, sql: str, code: int, name: str
) -> None:
    """The client sees the code and the symbolic name of the server."""
    with pytest.raises(DatabaseError) as caught:
        connect().command(sql) if sql.startswith("CREATE") else connect().query(sql)
    assert (caught.value.code, caught.value.name) == (code, name)


def test_an_unknown_setting_is_an_error(connect: Connect) -> None:
    """A misspelt setting does not pass silently."""
    with pytest.raises(DatabaseError) as caught:
        connect().raw_query("SELECT 1", settings={"max_blok_size": 1})
    assert caught.value.code == 115


def test_a_failure_in_mid_stream_reaches_the_client(connect: Connect) -> None:
    """When rows are under way already, the error follows them and is raised."""
    sql = "SELECT throwIf(number = 5000000), number FROM numbers(20000000)"
    with (
        pytest.raises(StreamFailureError, match="throwIf"),
        connect().query_row_block_stream(sql) as blocks,
    ):
        for _ in blocks:
            pass


def test_the_summary_counts_truly(connect: Connect) -> None:
    """written_rows, written_bytes and read_rows are the engine's, the query id is the client's."""
    client = connect()
    make_table(client)
    written = client.insert("t", ROWS, column_names=["n", "s", "at"])
    copied = client.query("INSERT INTO t SELECT n + 10, s, at FROM t")
    read = client.query("SELECT sum(n), max(s) FROM t", settings={"query_id": "mine-1"})

    assert written.written_rows == 2
    assert written.written_bytes() > 0
    assert int(copied.summary["written_rows"]) == 2
    assert read.result_rows[0][0] == 26
    assert int(read.summary["read_rows"]) == 4
    assert read.query_id == "mine-1"


def test_wrong_passwords_and_strangers_are_refused(stack: Devstack) -> None:
    """Both are the same error, as on the real server, and tell nothing more."""
    url = stack.clickhouse_url("reader")
    password = url.split(":")[2].split("@")[0]
    for wrong in (url.replace(password, "guess"), url.replace("reader", "nobody")):
        with pytest.raises(DatabaseError) as caught:
            clickhouse_connect.get_client(dsn=wrong)
        assert caught.value.code == 516


def test_the_reader_reads_and_nothing_else(connect: Connect) -> None:
    """Grants are enforced for the client's every way of writing."""
    writer, reader = connect("writer"), connect("reader")
    make_table(writer)
    writer.insert("t", ROWS, column_names=["n", "s", "at"])

    assert reader.query("SELECT count() FROM t").result_rows == [(2,)]
    assert reader.command("SHOW TABLES") == "t"
    refused = [
        lambda: reader.insert("t", ROWS, column_names=["n", "s", "at"]),
        lambda: reader.command("DROP TABLE t"),
        lambda: reader.command("CREATE TABLE u (n Int32) ENGINE = Memory"),
        lambda: reader.command("ALTER TABLE t DELETE WHERE 1"),
        lambda: reader.query("SELECT * FROM file('/etc/passwd', LineAsString)"),
        lambda: writer.command("CREATE TABLE other.t (n Int32) ENGINE = Memory"),
        lambda: writer.command("CREATE USER joe"),
        lambda: writer.query("SELECT * FROM file('/etc/passwd', LineAsString)"),
        lambda: writer.query("SELECT * FROM default.`/etc/passwd`"),
        lambda: connect("admin").query("SELECT * FROM file('/etc/passwd', LineAsString)"),
    ]
    codes = []
    for attempt in refused:
        with pytest.raises(DatabaseError) as caught:
            attempt()
        codes.append(caught.value.code)
    assert codes == [497] * 8 + [60, 497]
    assert writer.query("SELECT count() FROM t").result_rows == [(2,)]


def test_many_clients_work_at_the_same_time(connect: Connect) -> None:
    """Eight clients write and read at once; no row is lost, doubled or mixed up."""
    make_table(connect())

    def work(worker: int) -> int:
        client = connect()
        for turn in range(5):
            first = (worker * 5 + turn) * 100
            rows = [[first + row, f"w{worker}", ROWS[0][2]] for row in range(100)]
            client.insert("t", rows, column_names=["n", "s", "at"])
        return int(client.query(f"SELECT count() FROM t WHERE s = 'w{worker}'").result_rows[0][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [500] * 8
    assert connect().query("SELECT count(), uniqExact(n) FROM t").result_rows == [(4000, 4000)]


def test_inserts_from_a_generator_stream_in(connect: Connect) -> None:
    """A raw insert of unknown length arrives whole, larger than what is held in memory."""
    client = connect()
    client.command("CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n")

    def lines() -> Iterator[bytes]:
        for first in range(0, 200_000, 10_000):
            yield "".join(f"{n},{'x' * 20}\n" for n in range(first, first + 10_000)).encode()

    client.raw_insert("t", ["n", "s"], insert_block=lines(), fmt="CSV")
    assert client.query("SELECT count(), sum(n) FROM t").result_rows == [
        (200_000, sum(range(200_000)))
    ]
