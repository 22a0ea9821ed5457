"""One query, from its parameters to the engine and back."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from devstack.clickhouse import access, errors
from devstack.clickhouse.engine import Connection, Engine, Outcome, identifier, literal
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.sessions import Session, Sessions
from devstack.clickhouse.statement import READING, Statement
from devstack.clickhouse.users import Role, User

_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class ExternalTable:
    """A table that lives for one query: rows in `file_descriptor`, parsed as `format`."""

    name: str
    structure: str
    format: str
    file_descriptor: int


@dataclass(frozen=True)
class Query:
    """Everything a request asks for; `settings` and `params` are as the client wrote them.

    `data` is the file descriptor of an INSERT's data.
    """

    statement: Statement
    user: User
    database: str | None
    settings: dict[str, str]
    params: dict[str, str]
    default_format: str
    read_only: bool
    session_id: str | None = None
    session_timeout: str | None = None
    session_check: bool = False
    external: tuple[ExternalTable, ...] = ()
    data: int | None = None
    query_id: str = ""

    @property
    def output(self) -> str:
        """The format that rows come back in."""
        carries_rows = self.statement.data_at is None and self.statement.format
        return carries_rows or self.default_format


class Runner:
    """Runs queries on an engine; every call may come from its own thread."""

    def __init__(self, engine: Engine, *, default_database: str) -> None:
        self._engine = engine
        self._sessions = Sessions(engine)
        self._default_database = default_database
        self._lock = threading.Lock()
        self._running: set[str] = set()

    def run(self, query: Query, rows_to: int) -> Outcome:
        """Run `query`; rows go to the pipe `rows_to`.

        Blocks until the statement is finished, killed or timed out. Raises `ServerError`.
        """
        with self._only(query.query_id), self._connection(query) as (connection, session):
            database = query.database or (session.database if session else None)
            database = database or self._default_database
            _check_access(connection, query, database)
            if query.read_only:
                access.check_get(query.statement)
            connection.run(f"USE {identifier(database)}")
            with (
                _external_tables(connection, session, query.external),
                _settings(connection, session, query),
            ):
                sql = _sql(query, rows_to)
                outcome = connection.run(sql, query.output, query.params)
            if session is not None:
                _remember(session, connection, query.statement)
            return outcome

    def kill(self, query: Query) -> None:
        """Stop `query` if it still runs."""
        self._engine.kill(query.query_id)

    def sweep(self) -> None:
        """Close idle sessions."""
        self._sessions.sweep()

    def close(self) -> None:
        """Close all sessions."""
        self._sessions.close()

    @contextmanager
    def _only(self, query_id: str) -> Iterator[None]:
        """Refuse a second running query of the same id: the id is what KILL goes by."""
        with self._lock:
            if query_id in self._running:
                raise ServerError(
                    errors.QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                    f"Query with id = {query_id} is already running.",
                )
            self._running.add(query_id)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(query_id)

    @contextmanager
    def _connection(self, query: Query) -> Iterator[tuple[Connection, Session | None]]:
        if query.session_id is None:
            connection = self._engine.connect()
            try:
                yield connection, None
            finally:
                connection.close()
            return
        session = self._sessions.acquire(
            query.user.name,
            query.session_id,
            timeout=query.session_timeout,
            must_exist=query.session_check,
        )
        try:
            yield session.connection, session
        finally:
            self._sessions.release(session)


def _check_access(connection: Connection, query: Query, database: str) -> None:
    """Raise unless the user may; of a text that is no statement say that first."""
    statement = query.statement
    try:
        access.check(statement, query.user, database)
    except ServerError:
        if statement.data_at is None:
            text = _text(statement.source[: statement.end])
            connection.run(f"SELECT formatQuery({literal(text)})")
        raise


@contextmanager
def _settings(connection: Connection, session: Session | None, query: Query) -> Iterator[None]:
    """Apply the request's settings, and take them back where the connection lives on."""
    wanted = {**query.settings, "log_comment": query.query_id}
    for name in wanted:
        if not _SETTING_NAME.fullmatch(name):
            raise ServerError(errors.UNKNOWN_SETTING, f"Unknown setting '{name}'")
    if session is not None:
        _learn(session, connection, wanted)
    elif query.read_only or query.user.role is Role.READER:
        # The engine's own guard behind the check of the statement's kind.
        wanted["readonly"] = "2" if wanted.get("readonly", "0") == "0" else wanted["readonly"]
    connection.run("SET " + ", ".join(f"{name} = {literal(v)}" for name, v in wanted.items()))
    try:
        yield
    finally:
        if session is not None and query.statement.kind != "SET":
            back = (_restored(name, session.settings_known[name]) for name in wanted)
            connection.run("SET " + ", ".join(back))


def _learn(session: Session, connection: Connection, wanted: dict[str, str]) -> None:
    """Note what the session itself had set, once for each setting."""
    missing = [name for name in wanted if name not in session.settings_known]
    if not missing:
        return
    names = ", ".join(literal(name) for name in missing)
    rows = connection.run(
        f"SELECT name, value FROM system.settings WHERE changed AND name IN ({names})", "TSVRaw"
    ).data.decode()
    changed = dict(line.split("\t", 1) for line in rows.splitlines())
    session.settings_known.update({name: changed.get(name) for name in missing})


def _remember(session: Session, connection: Connection, statement: Statement) -> None:
    if statement.kind == "USE":
        session.database = connection.value("SELECT currentDatabase()")
    elif statement.kind == "SET":
        session.settings_known.clear()


def _restored(name: str, value: str | None) -> str:
    return f"{name} = DEFAULT" if value is None else f"{name} = {literal(value)}"


def _sql(query: Query, rows_to: int) -> str:
    """The text for the engine: rows into a pipe, data from a file, nothing else changed."""
    statement = query.statement
    source = statement.source
    if statement.data_at is not None and statement.infile_at is not None:
        head, clauses = source[: statement.infile_at], source[statement.infile_at : statement.end]
        infile = f" FROM INFILE '/dev/fd/{query.data}' "
        text = _text(head) + infile + _text(clauses) + f" FORMAT {statement.format}"
    elif statement.kind in READING:
        cut = min(
            at
            for at in (statement.format_at, statement.settings_at, statement.end)
            if at is not None
        )
        outfile = f" INTO OUTFILE '/dev/fd/{rows_to}' TRUNCATE "
        tail = _text(source[cut : statement.end])
        if statement.format is None:
            outfile += f"FORMAT {query.default_format} "
        text = _head(statement, cut) + outfile + tail
    else:
        text = _text(source[: statement.end])
    return text


@contextmanager
def _external_tables(
    connection: Connection, session: Session | None, tables: tuple[ExternalTable, ...]
) -> Iterator[None]:
    try:
        for table in tables:
            name = identifier(table.name)
            connection.run(f"CREATE TEMPORARY TABLE {name} ({table.structure})")
            connection.run(
                f"INSERT INTO {name} FROM INFILE '/dev/fd/{table.file_descriptor}' "
                f"FORMAT {table.format}"
            )
        yield
    finally:
        for table in tables if session is not None else ():
            connection.run(f"DROP TEMPORARY TABLE IF EXISTS {identifier(table.name)}")


def _head(statement: Statement, cut: int) -> str:
    """The statement up to `cut`.

    KILL finds a query by the client's id, which the engine has as the query's comment.
    """
    if statement.kind != "KILL":
        return _text(statement.source[:cut])
    pieces, position = [], 0
    for token in statement.tokens:
        if token.end <= cut and token.keyword == b"QUERY_ID":
            pieces += [_text(statement.source[position : token.start]), "Settings['log_comment']"]
            position = token.end
    return "".join([*pieces, _text(statement.source[position:cut])])


def _text(source: bytes) -> str:
    try:
        return source.decode()
    except UnicodeDecodeError as error:
        text = f"The statement is not valid UTF-8 at byte {error.start}"
        raise ServerError(errors.SYNTAX_ERROR, text) from None
