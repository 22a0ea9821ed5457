"""The benchmark's tables and plots."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.backlog import Drain
from benchmarks.lines import Axis, Line, chart, ticks_of_decades, ticks_upto
from benchmarks.page import Run, table
from benchmarks.scaling.fit import marginal_us, slope_percent
from benchmarks.scaling.plan import BATCH, COLUMNS, COUNT, LEAST, PAYLOAD, SIZE, Way


@dataclass(frozen=True)
class Measured:
    """The rounds of one way."""

    way: Way
    rows_per_message: int
    rounds: list[Drain]

    def median(self, of: Callable[[Drain], float]) -> float:
        """Median of a figure over the rounds."""
        return statistics.median(map(of, self.rounds))

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.median(lambda one: one.rate)

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a message, start of the writer included."""
        return self.median(lambda one: one.cpu_us)

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all messages together."""
        return self.median(lambda one: one.cpu_seconds)

    @property
    def rss_mb(self) -> float:
        """Largest resident memory of the writer."""
        return max(one.peak_rss_mb for one in self.rounds)

    @property
    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "group": self.way.group,
            "name": self.way.name,
            "at": self.way.at,
            "rows_per_message": self.rows_per_message,
            "messages": self.rounds[0].messages,
            "rounds": [
                {
                    "messages_per_s": round(one.rate),
                    "cpu_us_per_message": round(one.cpu_us, 3),
                    "peak_rss_mb": round(one.peak_rss_mb),
                }
                for one in self.rounds
            ],
        }


@dataclass(frozen=True)
class Marginal:
    """CPU microseconds of each message beyond the start, by the number of messages."""

    counts: list[int]
    costs: list[float]

    @classmethod
    def of(cls, found: Sequence[Measured]) -> Marginal:
        """From the streams of different length."""
        by_count = {one.way.at: one for one in found if one.way.group == COUNT}
        start_s = by_count.pop(LEAST).cpu_s
        counts = sorted(by_count)
        costs = [marginal_us(n, by_count[n].cpu_s, LEAST, start_s) for n in counts]
        return cls(counts, costs)

    def __str__(self) -> str:
        whole = slope_percent(self.counts, self.costs)
        late = slope_percent(self.counts[1:], self.costs[1:])
        return (
            f"Cost of a message over the logarithm of their number: {whole:+.1f} % a decade over"
            f" all, {late:+.1f} % from {self.counts[1]:,} on."
        )


def tables(run: Run, found: Sequence[Measured]) -> str:
    """All tables, each under a line that says what changes in it."""
    marginal = Marginal.of(found)
    return "\n\n".join(
        [
            f"JSON objects of about 150 bytes and batches of 50,000 unless told; medians; {run}",
            "**Number of messages**\n\n"
            + table(_HEAD, _rows(found, COUNT))
            + f"\n\n{marginal}\n\n![CPU of a message by their number](count.svg)",
            "**Rows of a batch** (`hot.batch_max_rows`)\n\n"
            + table(_HEAD, _rows(found, BATCH))
            + "\n\n![Messages a second by rows of a batch](batch.svg)",
            "**Bytes of a message**\n\n"
            + table(
                [*_HEAD, "MB/s"], _rows(found, SIZE, lambda o: [f"{o.rate * o.way.at / 1e6:,.0f}"])
            ),
            "**Columns beside the packaged contract's**\n\n" + table(_HEAD, _rows(found, COLUMNS)),
            "**Form of a message**\n\n"
            + table([*_HEAD, "readings/s"], _rows(found, PAYLOAD, _readings)),
        ]
    )


_HEAD = ("", "messages", "rounds", "messages/s", "CPU us/message", "beyond the start", "peak RSS")


def start_cpu_s(found: Sequence[Measured]) -> float:
    """CPU seconds of the smallest stream, which are those of the writer's start."""
    return next(one.cpu_s for one in found if (one.way.group, one.way.at) == (COUNT, LEAST))


def _beyond(one: Measured, start_s: float) -> str:
    messages = one.rounds[0].messages
    if messages <= LEAST:
        return "-"
    return f"{marginal_us(messages, one.cpu_s, LEAST, start_s):.2f}"


def _readings(one: Measured) -> list[str]:
    return [f"{one.rate * one.rows_per_message:,.0f}"]


def _rows(
    found: Sequence[Measured], group: str, more: Callable[[Measured], list[str]] = lambda _: []
) -> list[list[str]]:
    return [
        [
            one.way.name,
            f"{one.rounds[0].messages:,}",
            f"{len(one.rounds)}",
            f"{one.rate:,.0f}",
            f"{one.cpu_us:.2f}",
            _beyond(one, start_cpu_s(found)),
            f"{one.rss_mb:.0f} MB",
            *more(one),
        ]
        for one in found
        if one.way.group == group
    ]


def plots(found: Sequence[Measured]) -> dict[str, str]:
    """SVG documents by file name."""
    marginal = Marginal.of(found)
    batches = [one for one in found if one.way.group == BATCH]
    counts = Axis("messages", ticks_of_decades(marginal.counts[0], marginal.counts[-1]), log=True)
    points = list(zip(marginal.counts, marginal.costs, strict=True))
    sizes = Axis("rows of a batch", [(1e3, "1,000"), (1e4, "10,000"), (1e5, "100,000")], log=True)
    rates = [(float(one.way.at), one.rate) for one in batches]
    return {
        "count.svg": chart(
            "CPU of a message beyond the writer's start",
            counts,
            Axis("microseconds", ticks_upto(max(marginal.costs))),
            [Line("hot path", points)],
        ),
        "batch.svg": chart(
            "Drain rate by rows of a batch",
            sizes,
            Axis("messages a second", ticks_upto(max(rate for _, rate in rates))),
            [Line("hot path", rates)],
        ),
    }
