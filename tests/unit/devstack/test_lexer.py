"""The lexer finds the ends of strings, names, comments and heredocs as the engine does."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.lexer import Kind, tokens, unquoted


def texts(source: bytes) -> list[bytes]:
    """The texts of all tokens."""
    return [token.text for token in tokens(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"select 'a;b'", [b"select", b"'a;b'"]),
        (b"'it''s' x", [b"'it''s'", b"x"]),
        (rb"'a\'b' x", [rb"'a\'b'", b"x"]),
        (rb"'a\\' x", [rb"'a\\'", b"x"]),
        (b'`a``;` "b""c"', [b"`a``;`", b'"b""c"']),
        (b"a -- ' ; \n b", [b"a", b"b"]),
        (b"a // ' \n b", [b"a", b"b"]),
        (b"a # x '\n b #! y", [b"a", b"b"]),
        (b"a /* ' /* ; */ ' */ b", [b"a", b"b"]),
        (b"$$ ' ; $$ x", [b"$$ ' ; $$", b"x"]),
        (b"$t$ $$ ; $t$", [b"$t$ $$ ; $t$"]),
        (b"a$b$c", [b"a$b$c"]),
        (b"1e5.2 0x1f t.1", [b"1e5.2", b"0x1f", b"t", b".", b"1"]),
        ("\u2018x;y\u2019 z".encode(), ["\u2018x;y\u2019".encode(), b"z"]),
        ("\u201cx;y\u201d z".encode(), ["\u201cx;y\u201d".encode(), b"z"]),
        ("a\u00a0b\ufeff".encode(), [b"a", b"b"]),
    ],
)
def test_tokens_end_where_the_engine_ends_them(source: bytes, expected: list[bytes]) -> None:
    """Quotes, comments and heredocs hide what is inside them and nothing else."""
    assert texts(source) == expected


@pytest.mark.parametrize(
    "source", [b"'open", b"`open", b'"open', b"'a''b", b"/* /* */", b"a \x00 b", b"#x", b"\xff"]
)
def test_what_the_engine_refuses_is_refused(source: bytes) -> None:
    """An unclosed quote or comment and a stray byte are syntax errors."""
    with pytest.raises(ServerError) as caught:
        texts(source)
    assert caught.value.code == 62


def test_depth_counts_the_brackets_around_a_token() -> None:
    """A bracket has the depth of its surroundings."""
    depths = [(token.text, token.depth) for token in tokens(b"a(b[c],d)e")]
    assert depths == [
        *((b"a", 0), (b"(", 0), (b"b", 1), (b"[", 1), (b"c", 2), (b"]", 1)),
        *((b",", 1), (b"d", 1), (b")", 0), (b"e", 0)),
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_cut_into_tokens_or_refused(source: bytes) -> None:
    """Tokens cover disjoint, growing spans of the source and carry its text."""
    position = 0
    with suppress(ServerError):
        for token in tokens(source):
            assert position <= token.start < token.end <= len(source)
            assert source[token.start : token.end] == token.text
            position = token.end


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=50))
def test_a_quoted_string_is_one_token_and_spells_its_content(content: str) -> None:
    """Escaping by backslash and by doubling both come back."""
    escaped = content.replace("\\", "\\\\").replace("'", "\\'")
    doubled = content.replace("\\", "\\\\").replace("'", "''")
    for body in (escaped, doubled):
        found = list(tokens(f" '{body}' ".encode()))
        assert [token.kind for token in found] == [Kind.STRING]
        assert unquoted(found[0]) == content
