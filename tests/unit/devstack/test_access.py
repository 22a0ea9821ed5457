"""Roles: what each user may run, told from the statement alone."""

from __future__ import annotations

import pytest

from devstack.clickhouse.access import check, check_get
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.statement import parse
from devstack.clickhouse.users import Role, User

ADMIN = User("admin", Role.ADMIN, "")
WRITER = User("writer", Role.WRITER, "", ("iot", "iot_*"))
READER = User("reader", Role.READER, "")

READING = [
    "SELECT * FROM iot.readings",
    "WITH 1 AS x SELECT x",
    "SHOW TABLES FROM iot",
    "DESCRIBE TABLE iot.readings",
    "EXPLAIN SELECT 1",
    "EXISTS TABLE iot.readings",
    "SELECT * FROM icebergS3('http://x', 'k', 's')",
]
WRITING = [
    "INSERT INTO readings VALUES (1)",
    "INSERT INTO iot.readings (a) FORMAT CSV\n1",
    "INSERT INTO TABLE iot.readings SELECT 1",
    "WITH x AS (SELECT 1) INSERT INTO iot.t SELECT * FROM x",
    "CREATE TABLE iot_test.t (a Int32) ENGINE = Memory",
    "CREATE OR REPLACE TABLE t (a Int32) ENGINE = Memory",
    "CREATE TEMPORARY TABLE t (a Int32)",
    "CREATE DATABASE IF NOT EXISTS iot_2",
    "CREATE MATERIALIZED VIEW iot.v TO iot.t AS SELECT 1",
    "ALTER TABLE iot.t ADD COLUMN b Int32",
    "ALTER TABLE iot.t MODIFY TTL d TO DISK 'x'",
    "DROP TABLE IF EXISTS iot.t, iot_2.u",
    "RENAME TABLE iot.a TO iot.b",
    "EXCHANGE TABLES iot.a AND iot.b",
    "TRUNCATE TABLE t",
    "OPTIMIZE TABLE iot.t FINAL",
    "DELETE FROM iot.t WHERE 1",
]
FORBIDDEN_TO_WRITERS = [
    "INSERT INTO other.t VALUES (1)",
    "INSERT INTO `other`.t VALUES (1)",
    "WITH x AS (SELECT 1) INSERT INTO other.t SELECT * FROM x",
    "CREATE DATABASE other",
    "DROP DATABASE other",
    "CREATE TABLE other.t (a Int32) ENGINE = Memory",
    "CREATE MATERIALIZED VIEW iot.v TO other.t AS SELECT 1",
    "ALTER TABLE iot.t MOVE PARTITION 1 TO TABLE other.t",
    "DROP TABLE iot.t, other.u",
    "RENAME TABLE iot.a TO other.b",
    "EXCHANGE TABLES iot.a AND other.b",
    "CREATE USER joe",
    "CREATE FUNCTION f AS x -> x",
    "DROP TABLE iot.t PARALLEL WITH DROP TABLE other.u",
    "GRANT ALL ON *.* TO writer",
    "SYSTEM STOP MERGES",
    "KILL QUERY WHERE 1",
    "BACKUP TABLE iot.t TO S3('x')",
    "SELECT * FROM url('http://x')",
    "SELECT * FROM remote('x', iot.t)",
    "CREATE TABLE iot.t (a Int32) ENGINE = URL('http://x')",
]
FORBIDDEN_TO_ALL = [
    "SELECT * FROM file('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "SELECT * FROM Python(x)",
    "CREATE TABLE iot.t (a Int32) ENGINE = File(CSV)",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "INSERT INTO iot.t FROM INFILE '/etc/passwd' FORMAT CSV",
    "COPY iot.t FROM '/etc/passwd'",
]


REFUSALS = (497, 344, 78)


def allowed(sql: str, user: User) -> bool:
    """Whether `user` may run `sql`, being in the database iot."""
    try:
        check(parse(sql.encode()), user, "iot")
    except ServerError as error:
        if error.code not in REFUSALS:
            raise
        return False
    return True


@pytest.mark.parametrize("sql", READING)
def test_everybody_reads(sql: str) -> None:
    """Reading is open to all three roles."""
    assert [allowed(sql, user) for user in (ADMIN, WRITER, READER)] == [True, True, True]


@pytest.mark.parametrize("sql", WRITING)
def test_a_writer_changes_its_own_databases(sql: str) -> None:
    """The writer and the admin may, the reader may not."""
    assert [allowed(sql, user) for user in (ADMIN, WRITER, READER)] == [True, True, False]


@pytest.mark.parametrize("sql", FORBIDDEN_TO_WRITERS)
def test_a_writer_changes_nothing_else(sql: str) -> None:
    """Other databases, users, functions, the server and other machines are the admin's."""
    assert [allowed(sql, user) for user in (ADMIN, WRITER, READER)] == [True, False, False]


@pytest.mark.parametrize("sql", FORBIDDEN_TO_ALL)
def test_nobody_reaches_the_files_of_the_machine(sql: str) -> None:
    """Not even the admin: the real server has no such reach over HTTP either."""
    assert [allowed(sql, user) for user in (ADMIN, WRITER, READER)] == [False, False, False]


def test_a_get_changes_nothing() -> None:
    """GET is for reading, whoever asks."""
    check_get(parse(b"SELECT 1"))
    with pytest.raises(ServerError) as caught:
        check_get(parse(b"DROP TABLE t"))
    assert (caught.value.code, caught.value.status) == (164, 500)
