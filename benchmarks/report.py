"""Writes a benchmark's figures: results/<date>-<commit>.json, and the table in its README."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.backlog import Drain

BEGIN, END = "<!-- results -->", "<!-- /results -->"
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Case:
    """One way of draining, measured in every round; rounds of all cases alternate."""

    name: str
    does: str
    rounds: list[Drain]

    @property
    def rate(self) -> float:
        """Median messages a second."""
        return statistics.median(one.rate for one in self.rounds)


def write(folder: Path, cases: list[Case], base: str, command: str) -> str:
    """Stores the figures and puts the table into the README; returns the table.

    Ratios are taken round by round against the case ``base``: the machine's speed drifts.
    """
    when = datetime.now(UTC)
    facts = {
        "date": when.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "command": command,
        "messages": cases[0].rounds[0].messages,
    }
    figures = {
        case.name: [
            {
                "messages_per_s": round(one.rate),
                "cpu_us_per_message": round(one.cpu_us, 2),
                "peak_rss_mb": round(one.peak_rss_mb),
            }
            for one in case.rounds
        ]
        for case in cases
    }
    results = folder / "results"
    results.mkdir(exist_ok=True)
    name = f"{when:%Y-%m-%d}-{facts['commit']}.json"
    text = json.dumps({**facts, "cases": figures}, indent=2)
    (results / name).write_text(text + "\n", encoding="utf-8")
    table = _table(cases, base, facts)
    readme = folder / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return table


def _table(cases: list[Case], base: str, facts: dict[str, object]) -> str:
    reference = next(case for case in cases if case.name == base)
    origin = (
        f"{facts['messages']:,} messages, {len(reference.rounds)} alternating rounds, medians;"
        f" {facts['date']}, commit {facts['commit']}, {facts['machine']}; `{facts['command']}`"
    )
    lines = [
        origin,
        "",
        f"| | does | messages/s | x {base} | CPU us/message | peak RSS |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for case in cases:
        pairs = zip(case.rounds, reference.rounds, strict=True)
        ratio = statistics.median(one.rate / other.rate for one, other in pairs)
        cpu = statistics.median(one.cpu_us for one in case.rounds)
        rss = statistics.median(one.peak_rss_mb for one in case.rounds)
        lines.append(
            f"| {case.name} | {case.does} | {case.rate:,.0f} | {ratio:.2f} | {cpu:.2f}"
            f" | {rss:.0f} MB |"
        )
    return "\n".join(lines)


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
