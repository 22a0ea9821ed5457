"""What a service's log says about its end."""

from __future__ import annotations

import re
from pathlib import Path

# How the services say that another program has their port.
_CLASHES = ("address already in use", "is not available on 127.0.0.1", "failed to bind to")
# Java's Guice, in Trino, numbers the reasons and buries them in stack traces.
_NUMBERED = re.compile(r"\d+\) \S")


def last_words(log: Path, since: int) -> str:
    """The most telling line that was written from byte `since` on.

    A sentence about the log where there is none.
    """
    try:
        with log.open("rb") as file:
            file.seek(since)
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return "it has no log"
    clashes = [line for line in lines if is_clash(line)]
    reasons = [line for line in lines if _NUMBERED.match(line)]
    return (clashes or reasons or lines or ["its log is empty"])[-1].strip()


def is_clash(line: str) -> bool:
    """Whether a line says that a port was taken by another program."""
    return any(words in line.lower() for words in _CLASHES)
