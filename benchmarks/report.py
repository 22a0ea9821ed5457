"""Writes a benchmark's figures: results/<date>-<commit>.json, a plot, and the README's table."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.backlog import Drain
from benchmarks.plot import PLOT, Bar, bars

BEGIN, END = "<!-- results -->", "<!-- /results -->"
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Case:
    """One way of draining, measured in every round; rounds of all cases alternate.

    ``traits`` tell more of what it does, for tables with a column for each. ``ours``: whether it
    is the pipeline, and not what it is compared with.
    """

    name: str
    does: str
    rounds: list[Drain]
    traits: Mapping[str, str] = field(default_factory=dict)
    ours: bool = True

    @property
    def rate(self) -> float:
        """Median messages a second."""
        return self.median(lambda one: one.rate)

    def median(self, figure: Callable[[Drain], float]) -> float:
        """Median of a figure over the rounds."""
        return statistics.median(figure(one) for one in self.rounds)

    def ratios(self, other: Case) -> list[float]:
        """How many times as fast as ``other`` it was, round by round, the smallest first."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return sorted(mine.rate / its.rate for mine, its in pairs)


Facts = Mapping[str, object]
"""What was measured when, at which commit, on which machine."""


def write(
    folder: Path,
    cases: list[Case],
    base: str,
    command: str,
    *,
    table: Callable[[list[Case], str, Facts], str] | None = None,
    more: Facts | None = None,
) -> str:
    """Stores the figures, draws them, and puts the table into the README; returns the table.

    Ratios are taken round by round against the case ``base``: the machine's speed drifts.
    ``more`` facts are stored with the figures.
    """
    when = datetime.now(UTC)
    facts = {
        "date": when.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "command": command,
        "messages": cases[0].rounds[0].messages,
        **(more or {}),
    }
    results = folder / "results"
    results.mkdir(exist_ok=True)
    text = json.dumps({**facts, "cases": {one.name: _figures(one) for one in cases}}, indent=2)
    name = f"{when:%Y-%m-%d}-{facts['commit']}.json"
    (results / name).write_text(text + "\n", encoding="utf-8")
    (folder / PLOT).write_text(plot(cases), encoding="utf-8")
    shown = (table or plain_table)(cases, base, facts)
    put(folder / "README.md", shown)
    return shown


def put(readme: Path, table: str) -> None:
    """Puts the table between the marks of the README; raises ValueError when it has none."""
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} lacks the lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def plot(cases: Sequence[Case]) -> str:
    """A bar for each case; ours stand out."""
    drawn = [
        Bar(one.name, [each.rate for each in one.rounds], outstanding=one.ours) for one in cases
    ]
    return bars("Messages a second: median, and the slowest and fastest round", drawn)


def plain_table(cases: list[Case], base: str, facts: Facts) -> str:
    """What each case does, and its figures."""
    reference = next(case for case in cases if case.name == base)
    lines = [
        origin(facts, len(reference.rounds)),
        "",
        f"| | does | messages/s | x {base} | CPU us/message | peak RSS |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for case in cases:
        ratio = statistics.median(case.ratios(reference))
        lines.append(
            f"| {case.name} | {case.does} | {case.rate:,.0f} | {ratio:.2f}"
            f" | {case.median(lambda one: one.cpu_us):.2f}"
            f" | {case.median(lambda one: one.peak_rss_mb):.0f} MB |"
        )
    return "\n".join(lines)


def origin(facts: Facts, rounds: int) -> str:
    """The sentence above a table: how much was measured, when and where."""
    return (
        f"{facts['messages']:,} messages, {rounds} alternating rounds, medians;"
        f" {facts['date']}, commit {facts['commit']}, {facts['machine']}; `{facts['command']}`"
    )


def _figures(case: Case) -> list[dict[str, float]]:
    return [
        {
            "messages_per_s": round(one.rate),
            "cpu_us_per_message": round(one.cpu_us, 2),
            "peak_rss_mb": round(one.peak_rss_mb),
            "others_cores": round(one.others_cores, 2),
        }
        for one in case.rounds
    ]


def commit() -> str:
    """The commit that is checked out, and whether files differ from it."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return _git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine() -> str:
    """Cores, memory, system and Python."""
    memory = psutil.virtual_memory().total / (1 << 30)
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {python}"
