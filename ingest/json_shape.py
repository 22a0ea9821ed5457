"""The shape of a JSON object: what readings of one kind of sender have in common, byte for byte.

A sender's program writes each reading with the same keys in the same order and the same white
space; only the values differ. The shape is that text with holes for the values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.contract import Column, ColumnType, TimeFormat
from ingest.json_struct import Tree, is_required
from ingest.payloads import LINE_END

MAX_NESTED = 32
_STRING = re.compile(rb' *"([^"\\\x00-\x1f]*)"')
_BARE = re.compile(rb" *(-?[0-9][-+.0-9eE]*|true|false|null)")
_MARK = re.compile(rb" *([{}:,])")
_AFTER = re.compile(rb"(, *)\{")


@dataclass(frozen=True, slots=True)
class Hole:
    """One value: a string between its quotes, or a number, ``true`` or ``false``.

    ``column`` is None for a field that the contract does not name; ``key`` is set for an entry of
    a map column.
    """

    column: Column | None
    quoted: bool
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Text and holes in turn: ``literals`` has one more than ``holes``, none of them is empty.

    ``separator`` is what stands between two objects: of an array, or a line end for payloads that
    are single objects.
    """

    literals: tuple[bytes, ...]
    holes: tuple[Hole, ...]
    separator: bytes = LINE_END

    @property
    def in_array(self) -> bool:
        """Whether the objects are elements of an array."""
        return self.separator != LINE_END


def shape_of(payload: bytes, tree: Tree, *, unknown: bool) -> Shape | None:
    """The shape of an object, or of the first in an array; None when it is out of the ordinary.

    ``tree`` holds the columns. Ordinary: no escapes in strings, no arrays inside, no key twice, no
    value of another kind than its column's, every required column there, fields without a column
    only if ``unknown``.
    """
    learner = _Learner(payload, unknown=unknown)
    begin = 1 if payload[:1] == b"[" else 0
    try:
        end = learner.object(begin, tree, 1)
    except _OddError:
        return None
    after = _AFTER.match(payload, end)
    if not learner.holes or (end != len(payload) and not begin):
        return None
    cuts = [begin, *(at for start, stop, _ in learner.holes for at in (start, stop)), end]
    literals = tuple(payload[cuts[at] : cuts[at + 1]] for at in range(0, len(cuts), 2))
    separator = (after[1] if after else b",") if begin else LINE_END
    return Shape(literals, tuple(hole for _, _, hole in learner.holes), separator)


class _OddError(Exception):
    """The payload has no shape."""


class _Learner:
    """Walks over one payload."""

    def __init__(self, payload: bytes, *, unknown: bool) -> None:
        self._payload = payload
        self._unknown = unknown
        self.holes: list[tuple[int, int, Hole]] = []

    def object(self, at: int, level: Tree | Column | None, depth: int) -> int:
        """Takes an object: of columns, of a map column's entries, or of what no column names."""
        if depth > MAX_NESTED:
            raise _OddError
        at = self._expect(at, b"{")
        seen: set[str] = set()
        mark = self._mark(at)
        while mark != b"}":
            key, at = self._key(at)
            if key in seen:
                raise _OddError
            seen.add(key)
            if isinstance(level, Column):
                at = self._entry(at, level, key)
            else:
                at = self._value(at, level.get(key) if level else None, depth)
            mark = self._mark(at)
            if mark == b",":
                at = self._expect(at, b",")
            elif mark != b"}":
                raise _OddError
        if isinstance(level, dict):
            missing = (node for key, node in level.items() if key not in seen)
            if any(is_required(node) for node in missing):
                raise _OddError
        return self._expect(at, b"}")

    def _key(self, at: int) -> tuple[str, int]:
        found = _STRING.match(self._payload, at)
        if found is None:
            raise _OddError
        try:
            return found[1].decode(), self._expect(found.end(), b":")
        except UnicodeDecodeError:
            raise _OddError from None

    def _value(self, at: int, node: Column | Tree | None, depth: int) -> int:
        if node is None and not self._unknown:
            raise _OddError
        if self._mark(at) == b"{":
            if isinstance(node, Column) and node.type is not ColumnType.MAP:
                raise _OddError
            return self.object(at, node, depth + 1)
        text = _STRING.match(self._payload, at)
        if text is not None:
            if node is not None and not (isinstance(node, Column) and _is_quoted(node)):
                raise _OddError
            return self._hole(text, Hole(node, quoted=True))
        bare = _BARE.match(self._payload, at)
        if bare is None:
            raise _OddError
        if bare[1] == b"null":
            if node is not None and is_required(node):
                raise _OddError
            return bare.end()
        if node is not None and not (isinstance(node, Column) and _is_bare(node)):
            raise _OddError
        return self._hole(bare, Hole(node, quoted=False))

    def _entry(self, at: int, column: Column, key: str) -> int:
        text = _STRING.match(self._payload, at)
        if text is None:
            raise _OddError
        return self._hole(text, Hole(column, quoted=True, key=key))

    def _hole(self, found: re.Match[bytes], hole: Hole) -> int:
        self.holes.append((found.start(1), found.end(1), hole))
        return found.end()

    def _mark(self, at: int) -> bytes:
        found = _MARK.match(self._payload, at)
        return found[1] if found else b""

    def _expect(self, at: int, mark: bytes) -> int:
        found = _MARK.match(self._payload, at)
        if found is None or found[1] != mark:
            raise _OddError
        return found.end()


def _is_quoted(column: Column) -> bool:
    is_time = column.type is ColumnType.TIMESTAMP and column.format is TimeFormat.RFC3339
    return column.type.is_text or column.type is ColumnType.DATE or is_time


def _is_bare(column: Column) -> bool:
    is_epoch = column.type is ColumnType.TIMESTAMP and column.format is not TimeFormat.RFC3339
    kind = column.type
    return kind.is_integer or kind.is_float or kind is ColumnType.BOOL or is_epoch


def is_utf8(payload: bytes) -> bool:
    """Whether the bytes are UTF-8; msgspec checks only the strings that it keeps."""
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
