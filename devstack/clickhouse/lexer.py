"""The lexer of ClickHouse SQL: where strings, names, comments and heredocs begin and end.

It works on bytes, because the data of an INSERT may follow in the same buffer and need not be
text. It agrees with the engine's own lexer: backslash escapes and doubled quotes in '...', "..."
and `...`, typographic quotes, nested block comments, `--`, `//`, `#!` and `# ` line comments,
`$tag$...$tag$` heredocs. What the engine calls an unrecognised token is an error here too, so
nothing can hide from one of the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from devstack.clickhouse.errors import SYNTAX_ERROR, ServerError


class Kind(Enum):
    """What a token is; comments and white space are never tokens."""

    WORD = "word"
    NAME = "quoted name"
    STRING = "string"
    NUMBER = "number"
    PUNCTUATION = "punctuation"


class Token(NamedTuple):
    """A token and where it stands: `text` is `source[start:end]`, `depth` counts brackets."""

    kind: Kind
    text: bytes
    start: int
    end: int
    depth: int

    @property
    def keyword(self) -> bytes:
        """The word in upper case; empty for anything that is not a bare word."""
        return self.text.upper() if self.kind is Kind.WORD else b""


# Possessive quantifiers: an unclosed quote must fail, not end at an earlier doubled one.
_SKIPPED = re.compile(
    rb"(?:[ \t\n\r\f\v]|\xc2\xa0|\xe3\x80\x80|\xe2\x80[\x80-\x8f\xa8\xa9\xaf]|\xe2\x81\x9f"
    rb"|\xef\xbb\xbf"
    rb"|--[^\n]*|//[^\n]*|\#[ !][^\n]*)++"
)
_TOKEN = re.compile(
    rb"(?P<string>'(?:[^'\\]|\\.|'')*+'|\xe2\x80\x98.*?\xe2\x80\x99)"
    rb"|(?P<name>`(?:[^`\\]|\\.|``)*+`|\"(?:[^\"\\]|\\.|\"\")*+\"|\xe2\x80\x9c.*?\xe2\x80\x9d)"
    rb"|(?P<number>[0-9][0-9A-Za-z_]*+(?:\.[0-9][0-9A-Za-z_]*+)?)"
    rb"|(?P<word>[A-Za-z_][A-Za-z0-9_$]*+|\$[A-Za-z0-9_$]++)"
    rb"|(?P<punctuation>[!$-&(-\x5f\x61-\x7e])",
    re.DOTALL,
)
_HEREDOC_OPEN = re.compile(rb"\$[A-Za-z0-9_]*\$")
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_KINDS = {
    "string": Kind.STRING,
    "name": Kind.NAME,
    "number": Kind.NUMBER,
    "word": Kind.WORD,
    "punctuation": Kind.PUNCTUATION,
}
_OPENING, _CLOSING = b"([{", b")]}"


def tokens(source: bytes, start: int = 0) -> Iterator[Token]:
    """Yield the tokens of `source` from byte `start` on, lazily.

    Raises `ServerError` (SYNTAX_ERROR) at an unclosed quote, comment or unrecognised byte.
    """
    position, depth = start, 0
    while (position := _skip(source, position)) < len(source):
        kind, end = _match(source, position)
        text = source[position:end]
        if kind is Kind.PUNCTUATION and text in _CLOSING:
            depth -= 1
        yield Token(kind, text, position, end, depth)
        if kind is Kind.PUNCTUATION and text in _OPENING:
            depth += 1
        position = end


def unquoted(token: Token) -> str:
    """The name or string that a token spells, without its quotes and escapes."""
    if token.kind not in (Kind.NAME, Kind.STRING):
        return token.text.decode()
    if token.text[:1] == b"\xe2":
        return token.text[3:-3].decode(errors="replace")
    quote = token.text[:1]
    inner = re.sub(rb"\\(.)", rb"\1", token.text[1:-1].replace(quote * 2, quote), flags=re.DOTALL)
    return inner.decode(errors="replace")


def _skip(source: bytes, position: int) -> int:
    while True:
        if found := _SKIPPED.match(source, position):
            position = found.end()
        if not source.startswith(b"/*", position):
            return position
        position = _comment_end(source, position)


def _comment_end(source: bytes, start: int) -> int:
    level = 0
    for edge in _COMMENT_EDGE.finditer(source, start):
        level += 1 if edge[0] == b"/*" else -1
        if level == 0:
            return edge.end()
    raise _error("Multiline comment is not closed", source, start)


def _match(source: bytes, position: int) -> tuple[Kind, int]:
    if opening := _HEREDOC_OPEN.match(source, position):
        closing = source.find(opening[0], opening.end())
        if closing >= 0:
            return Kind.STRING, closing + len(opening[0])
    found = _TOKEN.match(source, position)
    if found is None:
        raise _error("Unrecognized token", source, position)
    return _KINDS[str(found.lastgroup)], found.end()


def _error(what: str, source: bytes, position: int) -> ServerError:
    near = source[position : position + 40].decode(errors="replace")
    text = f"{what}: Syntax error: failed at position {position + 1}: {near}"
    return ServerError(SYNTAX_ERROR, text)
