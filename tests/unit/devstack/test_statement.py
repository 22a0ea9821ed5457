"""A statement's kind, format and data are found whatever its strings and comments hold."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.statement import parse


@pytest.mark.parametrize(
    ("source", "kind", "output"),
    [
        (b"SELECT 1", "SELECT", None),
        (b"select 1 format JSON", "SELECT", "JSON"),
        (b"SELECT 1 FORMAT CSV SETTINGS a = 1;", "SELECT", "CSV"),
        (b"SELECT 1 AS format FROM t", "SELECT", None),
        (b"SELECT t.format x FROM t", "SELECT", None),
        (b"SELECT format x", "SELECT", None),
        (b"SELECT a, format b", "SELECT", None),
        (b"SELECT 'x FORMAT CSV'", "SELECT", None),
        (b"SELECT (SELECT 1 FORMAT CSV)", "SELECT", None),
        (b"SELECT 1 -- FORMAT CSV", "SELECT", None),
        (b"SELECT 1 FORMAT Native -- end", "SELECT", "Native"),
        (b"/* INSERT */ WITH 1 AS x SELECT x", "SELECT", None),
        (b"(SELECT 1) UNION ALL (SELECT 2) FORMAT TSV", "SELECT", "TSV"),
        (b"FROM t SELECT a", "SELECT", None),
        (b"desc t", "DESCRIBE", None),
        (b"Show Tables", "SHOW", None),
        (b"EXPLAIN INSERT INTO t SELECT 1", "EXPLAIN", None),
        (b"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "INSERT", None),
        (b"ALTER TABLE t ADD COLUMN format Int", "ALTER", None),
    ],
)
def test_kind_and_format_of_a_statement(source: bytes, kind: str, output: str | None) -> None:
    """Only a clause of the statement's own level names its format."""
    statement = parse(source)
    assert (statement.kind, statement.format) == (kind, output)


@pytest.mark.parametrize(
    ("source", "head", "name", "data"),
    [
        (b"INSERT INTO t VALUES (1);", b"INSERT INTO t ", "Values", b" (1);"),
        (b"insert into t format CSV\n1,2\n", b"insert into t ", "CSV", b"1,2\n"),
        (b"insert t (a, `values`) format CSV \r\n;", b"insert t (a, `values`) ", "CSV", b";"),
        (b"INSERT INTO values VALUES(1)", b"INSERT INTO values ", "Values", b"(1)"),
        (b"INSERT INTO d.format FORMAT TSV x", b"INSERT INTO d.format ", "TSV", b"x"),
        (b"INSERT INTO t SETTINGS a=1 FORMAT CSV\n1", b"INSERT INTO t ", "CSV", b"1"),
        (
            b"INSERT INTO t (a) FORMAT Native\n\x00\xff'",
            b"INSERT INTO t (a) ",
            "Native",
            b"\x00\xff'",
        ),
        (
            b"INSERT INTO FUNCTION s3('x') FORMAT CSV 1",
            b"INSERT INTO FUNCTION s3('x') ",
            "CSV",
            b"1",
        ),
    ],
)
def test_data_of_an_insert_begins_behind_its_format(
    source: bytes, head: bytes, name: str, data: bytes
) -> None:
    """The data starts after FORMAT's line end or after VALUES, and is never tokenised."""
    statement = parse(source)
    assert statement.data_at is not None
    assert source[: statement.infile_at] == head
    assert (statement.format, source[statement.data_at :]) == (name, data)


@pytest.mark.parametrize(
    "source",
    [
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t (SELECT 1)",
        b"INSERT INTO t WITH 1 AS x SELECT x",
        b"INSERT INTO t (a) SELECT 'VALUES'",
    ],
)
def test_an_insert_from_a_query_has_no_data(source: bytes) -> None:
    """INSERT ... SELECT is run as it stands."""
    assert parse(source).data_at is None


@pytest.mark.parametrize(
    "source",
    [b"SELECT 1; SELECT 2", b"select 1;;select 2", b"INSERT INTO t SELECT 1; DROP TABLE t"],
)
def test_several_statements_are_refused(source: bytes) -> None:
    """The interface takes one statement a request."""
    with pytest.raises(ServerError, match="Multi-statements"):
        parse(source)


@pytest.mark.parametrize("source", [b"", b"  ", b";", b"-- nothing", b"/**/"])
def test_nothing_is_no_statement(source: bytes) -> None:
    """Empty text is a syntax error."""
    with pytest.raises(ServerError, match="Empty query"):
        parse(source)


def test_calls_are_found_by_name_and_bracket() -> None:
    """Quoting a function's name does not hide it; a string does not look like a call."""
    source = b"SELECT `File` /*x*/ ('a'), 'url(', Python(x), s3 FROM numbers(1)"
    assert set(parse(source).calls()) == {"file", "python", "numbers"}


@given(st.binary(max_size=300))
def test_data_is_taken_as_it_is(data: bytes) -> None:
    """Whatever bytes follow the format's line end are the data, from the first to the last."""
    source = b"INSERT INTO `t` (a /* FORMAT CSV */) FORMAT RowBinary\n" + data
    statement = parse(source)
    assert statement.data_at is not None
    assert source[statement.data_at :] == data


@given(st.binary(max_size=120))
@example(b"`\x80`")
@example(b"SELECT 1 FORMAT `\x80`")
@example(b"INSERT INTO t FORMAT `\x80` 1")
def test_any_bytes_are_a_statement_or_a_syntax_error(source: bytes) -> None:
    """Nothing but the one error ever comes out."""
    with suppress(ServerError):
        assert 0 < parse(source).end <= len(source)
