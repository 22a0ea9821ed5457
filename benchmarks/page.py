"""A benchmark's page: figures as JSON into results/, tables and plots into README and folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import BEGIN, END, commit, machine


@dataclass(frozen=True)
class Run:
    """When, at which commit, on what machine and by which command figures were measured."""

    date: datetime
    commit: str
    machine: str
    command: str

    @classmethod
    def now(cls, name: str, arguments: Sequence[str]) -> Run:
        """The run that begins now; taken before the measurement, which may last."""
        told = f" ARGS='{' '.join(arguments)}'" if arguments else ""
        return cls(datetime.now(UTC), commit(), machine(), f"make bench NAME={name}{told}")

    @property
    def facts(self) -> dict[str, str]:
        """For JSON."""
        date = self.date.isoformat(timespec="seconds")
        return {
            "date": date,
            "commit": self.commit,
            "machine": self.machine,
            "command": self.command,
        }

    def __str__(self) -> str:
        date = self.date.isoformat(timespec="seconds")
        return f"{date}, commit {self.commit}, {self.machine}; `{self.command}`"


def write(folder: Path, run: Run, figures: Mapping[str, Any], text: str) -> None:
    """Stores the figures and puts ``text`` between the marks of the folder's README."""
    results = folder / "results"
    results.mkdir(exist_ok=True)
    document = json.dumps({**run.facts, **figures}, indent=2)
    name = f"{run.date:%Y-%m-%d}-{run.commit}.json"
    (results / name).write_text(document + "\n", encoding="utf-8")
    readme = folder / "README.md"
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} lacks the lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table whose first columns are ``texts`` and whose others are figures."""
    ruler = "|" + "---|" * texts + "---:|" * (len(head) - texts)
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], ruler, *lines[1:]])
