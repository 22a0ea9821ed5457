"""What one SQL statement is: its kind, its output format, and for an INSERT where data begins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from devstack.clickhouse import errors
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.lexer import Kind, Token, tokens, unquoted

READING = frozenset({"SELECT", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS", "CHECK", "KILL"})
"""Kinds that answer with rows."""

_ALIASES = {"WITH": "SELECT", "FROM": "SELECT", "(": "SELECT", "DESC": "DESCRIBE"}
_AFTER_FORMAT = re.compile(rb"[ \t\f]*(?:\r?\n)?")


@dataclass(frozen=True)
class Statement:
    """One parsed statement; byte offsets point into `source`.

    `end` is where the statement's own text ends (comments and a closing `;` excluded).
    `format_at` is where a trailing `FORMAT name` begins, `settings_at` a trailing `SETTINGS`.
    For an INSERT that carries data, `data_at` is the first byte of it and `infile_at` the place
    where `FROM INFILE` may stand; both are None otherwise.
    """

    source: bytes
    kind: str
    tokens: tuple[Token, ...] = field(repr=False)
    end: int
    format: str | None = None
    format_at: int | None = None
    settings_at: int | None = None
    data_at: int | None = None
    infile_at: int | None = None

    def calls(self) -> Iterator[str]:
        """Yield the lower-case name of everything written as `name(`."""
        for token, following in pairwise(self.tokens):
            if following.text == b"(" and token.kind in (Kind.WORD, Kind.NAME):
                yield unquoted(token).lower()

    def has(self, *words: bytes) -> bool:
        """Whether the bare words stand next to each other anywhere in the statement."""
        keywords = [token.keyword for token in self.tokens]
        width = len(words)
        return any(
            tuple(keywords[at : at + width]) == words for at in range(len(keywords) - width + 1)
        )


def parse(source: bytes) -> Statement:
    """The statement in `source`, which may continue with an INSERT's data.

    Raises `ServerError`: SYNTAX_ERROR for empty text, broken tokens or several statements.
    """
    stream = tokens(source)
    first = next(stream, None)
    if first is None or first.text == b";":
        raise ServerError(errors.SYNTAX_ERROR, "Syntax error: failed at position 1: Empty query")
    if first.keyword == b"INSERT":
        return _insert(source, first, stream)
    words = _one_statement((first, *stream))
    kind = _kind(words)
    if kind == "INSERT":  # WITH ... INSERT INTO ... SELECT
        return Statement(source, kind, words, words[-1].end)
    at, name = _trailing_format(words) if kind in READING else (None, None)
    return Statement(
        source,
        kind,
        words,
        words[-1].end,
        format=name,
        format_at=at,
        settings_at=_trailing_settings(words) if kind != "SELECT" else None,
    )


def _kind(words: tuple[Token, ...]) -> str:
    first = _text(words[0].keyword or words[0].text)
    if first == "WITH":
        tops = {token.keyword for token in words if token.depth == 0}
        if b"INSERT" in tops and b"INTO" in tops:
            return "INSERT"
    return _ALIASES.get(first, first)


def _text(word: bytes) -> str:
    """The word as text; one that is not UTF-8 is no word of ClickHouse's, which refuses it."""
    return word.decode(errors="replace")


def _one_statement(words: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens without closing semicolons; anything after one is another statement."""
    for at, token in enumerate(words):
        if token.text != b";" or token.kind is not Kind.PUNCTUATION:
            continue
        rest = [other for other in words[at:] if other.text != b";"]
        if rest:
            raise ServerError(
                errors.SYNTAX_ERROR,
                f"Syntax error (Multi-statements are not allowed): failed at position "
                f"{token.start + 1} (end of query)",
            )
        return words[:at]
    return words


def _trailing_format(words: tuple[Token, ...]) -> tuple[int | None, str | None]:
    """Where the statement's own FORMAT clause stands, and the format it names."""
    for at in range(len(words) - 2, 0, -1):
        token, name = words[at], words[at + 1]
        if token.keyword != b"FORMAT" or token.depth != 0 or name.kind is not Kind.WORD:
            continue
        ends = at + 2 == len(words) or words[at + 2].keyword == b"SETTINGS"
        if ends and words[at - 1].text not in (b".", b",", b"SELECT"):
            return token.start, _text(name.text)
    return None, None


def _trailing_settings(words: tuple[Token, ...]) -> int | None:
    for token in reversed(words):
        if token.keyword == b"SETTINGS" and token.depth == 0:
            return token.start
    return None


def _insert(source: bytes, first: Token, stream: Iterator[Token]) -> Statement:
    """An INSERT, read only as far as needed to find its data or its query."""
    seen = [first]
    infile_at: int | None = None
    for token in stream:
        named = len(seen) > 1 and seen[-1].keyword not in (
            b"INTO",
            b"TABLE",
            b"FUNCTION",
            b"INSERT",
        )
        seen.append(token)
        if token.depth != 0 or not named or seen[-2].text == b".":
            continue
        if token.keyword == b"SETTINGS" and infile_at is None:
            infile_at = token.start
        elif token.keyword == b"FORMAT":
            return _with_format(source, seen, stream, infile_at)
        elif token.keyword == b"VALUES":
            place = token.start if infile_at is None else infile_at
            return _with_data(source, seen, place, token.start, token.end, "Values")
        elif token.keyword in (b"SELECT", b"WITH", b"FROM", b"EXPLAIN", b"WATCH"):
            return _with_query(source, seen, stream)
        if token.text == b";":
            break
    else:
        if any(token.keyword in (b"SELECT", b"WITH") for token in seen):
            return _with_query(source, seen, iter(()))
    # An INSERT that names neither a format nor a query: the engine says what is missing.
    return Statement(source, "INSERT", tuple(seen), seen[-1].end)


def _with_format(
    source: bytes, seen: list[Token], stream: Iterator[Token], infile_at: int | None
) -> Statement:
    keyword = seen[-1]
    name = next(stream, None)
    if name is None or name.kind is not Kind.WORD:
        raise ServerError(errors.SYNTAX_ERROR, "Syntax error: expected a format name after FORMAT")
    place = keyword.start if infile_at is None else infile_at
    start = name.end + _after_format(source, name.end)
    return _with_data(source, [*seen, name], place, keyword.start, start, _text(name.text))


def _after_format(source: bytes, position: int) -> int:
    found = _AFTER_FORMAT.match(source, position)
    return found.end() - position if found else 0


def _with_data(
    source: bytes, seen: list[Token], infile_at: int, end: int, data_at: int, name: str
) -> Statement:
    return Statement(
        source,
        "INSERT",
        tuple(seen),
        end,
        format=name,
        data_at=data_at,
        infile_at=infile_at,
    )


def _with_query(source: bytes, seen: list[Token], stream: Iterator[Token]) -> Statement:
    words = _one_statement((*seen, *stream))
    return Statement(source, "INSERT", words, words[-1].end)
