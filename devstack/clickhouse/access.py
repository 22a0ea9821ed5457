"""Whether a user may run a statement, decided from its tokens before the engine sees it."""

from __future__ import annotations

from collections.abc import Iterator

from devstack.clickhouse import errors
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.lexer import Kind, Token, unquoted
from devstack.clickhouse.statement import Statement
from devstack.clickhouse.users import Role, User

_READER_KINDS = frozenset({"SELECT", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS", "USE", "SET"})
_WRITER_KINDS = _READER_KINDS | {
    *("INSERT", "CREATE", "ALTER", "DROP", "TRUNCATE", "OPTIMIZE", "RENAME", "EXCHANGE"),
    *("DETACH", "ATTACH", "DELETE", "UPDATE", "UNDROP", "CHECK"),
}
_GET_KINDS = frozenset({"SELECT", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS", "USE", "SET", "CHECK"})

# They reach into this process or its files, past the engine's own grants.
_NEVER_CALLED = frozenset({"file", "python", "executable", "executablepool", "filesystem"})
_SOURCES = frozenset(
    {
        *("url", "urlcluster", "remote", "remotesecure", "cluster", "clusterallreplicas"),
        *("mysql", "postgresql", "mongodb", "redis", "sqlite", "jdbc", "odbc", "hdfs"),
        *("hdfscluster", "kafka", "nats", "rabbitmq", "input", "azureblobstorage", "disk"),
    }
)
_OBJECTS = frozenset({b"TABLE", b"TABLES", b"VIEW", b"DICTIONARY", b"DICTIONARIES", b"DATABASE"})
_BEFORE_NAME = frozenset(
    {
        *(b"OR", b"REPLACE", b"TEMPORARY", b"MATERIALIZED", b"LIVE", b"IF", b"NOT", b"EXISTS"),
        *(b"EMPTY", b"INTO", b"FROM", b"FUNCTION", b"PERMANENTLY", b"SYNC", b"PERMANENT"),
    }
)


def check(statement: Statement, user: User, database: str) -> None:
    """Raise `ServerError` unless `user`, whose current database is `database`, may run it."""
    _check_everyone(statement)
    if user.role is Role.ADMIN:
        return
    allowed = _READER_KINDS if user.role is Role.READER else _WRITER_KINDS
    if statement.kind not in allowed or statement.has(b"PARALLEL", b"WITH"):
        raise _denied(user, f"{statement.kind} ON *.*")
    for name in statement.calls():
        if name in _SOURCES:
            raise _denied(user, f"READ ON {name.upper()}")
    if statement.kind in _READER_KINDS:
        return
    for target in _targets(statement, database):
        if not user.owns(target):
            raise _denied(user, f"{statement.kind} ON {target}.*")


def check_get(statement: Statement) -> None:
    """Raise READONLY for a statement that changes something: a GET is repeated and cached."""
    if statement.kind not in _GET_KINDS:
        raise ServerError(
            errors.READONLY,
            "Cannot execute query in readonly mode. For queries over HTTP, method GET implies "
            "readonly. You should use method POST for modifying queries.",
        )


def _check_everyone(statement: Statement) -> None:
    if statement.has(b"INTO", b"OUTFILE"):
        raise ServerError(errors.SUPPORT_IS_DISABLED, "INTO OUTFILE is not allowed")
    if statement.has(b"FROM", b"INFILE"):
        text = "Query has infile and was send directly to server"
        raise ServerError(errors.UNKNOWN_TYPE_OF_QUERY, text)
    if statement.kind == "COPY":
        raise ServerError(errors.SUPPORT_IS_DISABLED, "COPY is not allowed")
    for name in statement.calls():
        if name in _NEVER_CALLED:
            raise ServerError(errors.ACCESS_DENIED, f"{name}() is not available on this server")


def _denied(user: User, grant: str) -> ServerError:
    return ServerError(
        errors.ACCESS_DENIED,
        f"{user.name}: Not enough privileges. To execute this query, "
        f"it's necessary to have the grant {grant}",
    )


def _targets(statement: Statement, current: str) -> Iterator[str]:
    """The databases that a changing statement names; `?` where that cannot be told."""
    words = _after_verb(statement)
    at = 0
    is_database, temporary = False, False
    while at < len(words) and words[at].keyword in _OBJECTS | _BEFORE_NAME:
        is_database |= words[at].keyword == b"DATABASE"
        temporary |= words[at].keyword == b"TEMPORARY"
        at += 1
    if statement.kind in ("CREATE", "ALTER", "DROP", "RENAME", "EXCHANGE", "UNDROP") and not any(
        word.keyword in _OBJECTS for word in words[:at]
    ):
        yield "?"  # users, roles, functions, collections and all that has no database
        return
    first = _qualified(words, at)
    if first is None:
        yield "?"
    elif is_database:
        yield first[-1]
    elif not temporary:
        yield first[0] if len(first) > 1 else current
    yield from _further(statement, words, at, current)


def _after_verb(statement: Statement) -> tuple[Token, ...]:
    words = statement.tokens
    for at, word in enumerate(words):
        if word.depth == 0 and word.keyword.decode() == statement.kind:
            return words[at + 1 :]
    return words[1:]


def _further(
    statement: Statement, words: tuple[Token, ...], at: int, current: str
) -> Iterator[str]:
    """Databases of the second and later tables: TO, AND, and comma lists of DDL."""
    lists = statement.kind in ("DROP", "RENAME", "EXCHANGE", "DETACH", "TRUNCATE")
    joined = {b"TO", b"AND"} if lists else {b"TO"}
    moves = statement.kind == "ALTER"
    for index in range(at, len(words) - 1):
        word = words[index]
        if word.depth != 0:
            continue
        separates = (lists and word.text == b",") or word.keyword in joined
        if moves and word.keyword == b"TO" and words[index + 1].keyword != b"TABLE":
            continue
        if separates:
            skip = 1 + (words[index + 1].keyword == b"TABLE")
            name = _qualified(words, index + skip)
            if name is not None:
                yield name[0] if len(name) > 1 else current


def _qualified(words: tuple[Token, ...], at: int) -> list[str] | None:
    """The dotted name at `at`, in parts; None where no name stands."""
    parts: list[str] = []
    while at < len(words) and words[at].kind in (Kind.WORD, Kind.NAME, Kind.STRING):
        parts.append(unquoted(words[at]))
        if at + 1 >= len(words) or words[at + 1].text != b".":
            return parts
        at += 2
    return None
