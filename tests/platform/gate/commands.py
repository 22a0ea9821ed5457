"""Commands in the shell blocks of documents."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = re.compile(r"^```(?:sh|bash|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_WRAPPERS = {"sudo", "exec", "time", "command", "watch", "env", "nohup", "!", "then", "do", "else"}


@dataclass(frozen=True)
class Command:
    """One simple command: its words, and the line of the document's block."""

    words: tuple[str, ...]
    line: str

    @property
    def binary(self) -> str:
        """The program's name."""
        return self.words[0]

    def inner(self) -> Command | None:
        """What `kubectl exec ... --` or `ssh host` runs inside."""
        if self.binary == "kubectl" and "--" in self.words:
            rest = self.words[self.words.index("--") + 1 :]
            return Command(rest, self.line) if rest else None
        return None


def blocks(text: str) -> list[str]:
    """The shell blocks of a document."""
    return _BLOCK.findall(text)


def commands(text: str) -> Iterator[Command]:
    """Every simple command of a document's shell blocks."""
    for block in blocks(text):
        for line in _lines(block):
            yield from _commands(line)


def _lines(block: str) -> Iterator[str]:
    """Logical lines, without comments and the bodies of here-documents."""
    end: str | None = None
    held = ""
    for raw in block.splitlines():
        if end is not None:
            end = None if raw.strip() == end else end
            continue
        line = held + raw
        open_quote = _open_quote(line)
        if raw.endswith("\\"):
            held = line[:-1] + " "
            continue
        if open_quote:
            held = line + "\n"
            continue
        held = ""
        found = _HEREDOC.search(line)
        if found:
            end = found.group(1)
        if line.strip() and not line.strip().startswith("#"):
            yield line
    if held.strip():
        yield held


def _open_quote(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError as error:
        return "quotation" in str(error)
    return False


def _commands(line: str) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word and set(word) <= set("|&;()"):
            if words:
                yield from _simple(words, line)
            words = []
        else:
            words.append(word)


def _simple(words: list[str], line: str) -> Iterator[Command]:
    rest = list(words)
    while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] in _WRAPPERS or rest[0].startswith("<")):
        rest.pop(0)
        while rest and rest[0].startswith("-") and len(words) > 1:
            rest.pop(0)
    rest = [word for word in rest if not re.match(r"^\d?[<>]", word)]
    if rest:
        yield Command(tuple(rest), line)
