"""The benchmark's table and its plot."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.backlog import Drain
from benchmarks.page import Run, table

PATHS = ("hot", "lake")
SERVERS = ("nats", "clickhouse", "seaweedfs")


@dataclass(frozen=True)
class Part:
    """A part measured alone, or a whole path, round by round; ``name`` is its key."""

    name: str
    title: str
    does: str


@dataclass(frozen=True)
class Round:
    """One measurement, and CPU microseconds a message of each server meanwhile."""

    drain: Drain
    servers_us: Mapping[str, float]

    @property
    def figures(self) -> dict[str, object]:
        """For JSON."""
        return {
            "messages_per_s": round(self.drain.rate),
            "cpu_us_per_message": round(self.drain.cpu_us, 2),
            "peak_rss_mb": round(self.drain.peak_rss_mb),
            "servers_cpu_us_per_message": {k: round(v, 2) for k, v in self.servers_us.items()},
        }


def share(path: Sequence[Round], limit: Sequence[Round]) -> float:
    """What share of the limit's rate a path reaches: median of the rounds' ratios."""
    pairs = zip(path, limit, strict=True)
    return statistics.median(one.drain.rate / other.drain.rate for one, other in pairs)


def tables(run: Run, parts: Sequence[Part], rounds: Mapping[str, Sequence[Round]]) -> str:
    """Each limit with the share that hot and lake reach."""
    first = rounds[parts[0].name]
    origin = (
        f"{first[0].drain.messages:,} messages, {len(first)} alternating rounds, medians; {run}\n\n"
        "![Messages a second of each part alone and of the paths](limits.svg)"
    )
    rows = [[part.title, part.does, *_cells(part.name, rounds)] for part in parts]
    head = ["", "does", "messages/s", "CPU us/message", *(f"of {name}" for name in SERVERS)]
    return f"{origin}\n\n{table([*head, 'peak RSS', 'hot reaches', 'lake reaches'], rows, 2)}"


def _cells(name: str, rounds: Mapping[str, Sequence[Round]]) -> list[str]:
    found = rounds[name]
    return [
        f"{statistics.median(one.drain.rate for one in found):,.0f}",
        f"{statistics.median(one.drain.cpu_us for one in found):.2f}",
        *(f"{statistics.median(one.servers_us[k] for one in found):.2f}" for k in SERVERS),
        f"{statistics.median(one.drain.peak_rss_mb for one in found):.0f} MB",
        *("-" if name in PATHS else f"{share(rounds[path], found):.0%}" for path in PATHS),
    ]
