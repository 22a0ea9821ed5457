"""Reading of typed values out of a parsed document, with errors that say where.

Every error is one sentence: file, line where known, key, what was found, what was expected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from ingest.errors import ContractError

Key = tuple[str | int, ...]
E = TypeVar("E", bound=StrEnum)

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w\-.]+)\s*\]\]?\s*(#.*)?$")
_ASSIGNMENT = re.compile(r"\s*([\w\-]+)\s*(?:\.[\w\-.\s]*)?=")


def nearest(word: str, names: Iterable[str]) -> str:
    """``; did you mean 'x'?`` when one of the names is close, else an empty string."""
    close = difflib.get_close_matches(word.lower(), list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def key_lines(text: str) -> dict[Key, int]:
    """Lines (from 1) on which the keys and tables of a TOML text stand.

    Keys inside inline tables are not found; callers fall back to the enclosing key's line.
    """
    lines: dict[Key, int] = {}
    counts: dict[str, int] = {}
    here: Key = ()
    quoted = False
    for number, line in enumerate(text.splitlines(), start=1):
        if not quoted:
            if header := _HEADER.match(line):
                name = header[2]
                here = tuple(name.split("."))
                if header[1] == "[[":
                    here = (name, counts.get(name, 0))
                    counts[name] = counts.get(name, 0) + 1
                lines.setdefault(here, number)
            elif assignment := _ASSIGNMENT.match(line):
                lines.setdefault((*here, assignment[1]), number)
        if line.count('"""') % 2 or line.count("'''") % 2:
            quoted = not quoted
    return lines


def shown(value: object) -> str:
    """A value as it goes into a message: TOML's spelling, shortened."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True)
class Document:
    """Where a document came from, for messages."""

    origin: str
    lines: Mapping[Key, int] = field(default_factory=dict)

    def refuse(self, key: Key, message: str) -> NoReturn:
        """Raise `ContractError` for the key."""
        at = key
        while at and at not in self.lines:
            at = at[:-1]
        line = f" line {self.lines[at]}" if at else ""
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
        where = f", {name.removeprefix('.')}" if name else ""
        raise ContractError(f"{self.origin}{line}{where}: {message}")


class Table:
    """One table of a document; each value is taken once, `done` refuses what is left."""

    def __init__(self, document: Document, key: Key, values: object) -> None:
        if not isinstance(values, dict):
            document.refuse(key, f"found {shown(values)}, expected a table")
        self.document = document
        self.key = key
        self._values: dict[str, Any] = dict(values)
        self._known: list[str] = []

    def refuse(self, name: str, message: str) -> NoReturn:
        """Raise `ContractError` for one key of this table."""
        self.document.refuse((*self.key, name), message)

    def _wrong(self, name: str, value: object, expected: str) -> NoReturn:
        """Refuse a value; where none is there, a key that looks like it is the likely mistake."""
        if value is None:
            for typo in difflib.get_close_matches(name, list(self._values), n=1, cutoff=0.8):
                self.refuse(typo, f"unknown key, expected {name!r}")
        found = "nothing" if value is None else shown(value)
        self.refuse(name, f"found {found}, expected {expected}")

    def has(self, name: str) -> bool:
        """Whether the key is there and not yet taken."""
        return name in self._values

    def peek(self, name: str) -> Any:
        """The raw value, left to be taken; None when absent."""
        return self._values.get(name)

    def take(self, name: str) -> Any:
        """The raw value, None when absent."""
        self._known.append(name)
        return self._values.pop(name, None)

    def text(self, name: str, default: str | None = None) -> str:
        """A string that is not empty; required when there is no default."""
        value = self.take(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (not value and default != ""):
            self._wrong(name, value, "a text that is not empty")
        return value

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of strings that are not empty and differ; may be empty if the default is."""
        value = self.take(name)
        if (value is None and default is not None) or (value == [] and default == ()):
            return default
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(one, str) and one for one in value)
        ):
            self._wrong(name, value, "a list of texts")
        if len(set(value)) < len(value):
            self.refuse(name, f"found {shown(value)}, expected texts that differ")
        return tuple(value)

    def flag(self, name: str) -> bool:
        """A boolean, false when absent."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, f"found {shown(value)}, expected true or false")
        return bool(value)

    def whole(self, name: str, default: int | None, least: int, most: int) -> int | None:
        """A whole number within bounds, or the default."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(
                name, f"found {shown(value)}, expected a whole number from {least} to {most}"
            )
        return value

    def choice(self, name: str, kind: type[E], default: E | None = None) -> E:
        """A member of a closed set of names; required when there is no default."""
        value = self.take(name)
        if value is None and default is not None:
            return default
        names = [str(one) for one in kind]
        if value not in names:
            hint = nearest(value, names) if isinstance(value, str) else ""
            self._wrong(name, value, f"one of {', '.join(names)}{hint}")
        return kind(value)

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        for name in self._values:
            hint = nearest(name, self._known)
            self.refuse(
                name, f"unknown key, expected one of {', '.join(sorted(self._known))}{hint}"
            )
