"""The benchmark's tables and its plot."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.latency.ages import SHARES, Latency
from benchmarks.latency.steps import Step
from benchmarks.lines import Axis, Line, chart, ticks_of_decades
from benchmarks.page import Run, table


def tables(run: Run, maximum: float, steps: Sequence[Step]) -> str:
    """Latencies, and where they come from."""
    origin = (
        f"Maximum {maximum:,.0f} messages/s; {steps[0].seconds:.0f} s a load; {run}\n\n"
        "![Latency by percentile at each load](latency.svg)"
    )
    ages = table(
        ["load", "messages/s", "readings", "p50", "p99", "p99.9", "max", "p99 of sending"],
        [
            [
                f"{one.share:.0%} of the maximum",
                f"{one.rate:,.0f}",
                f"{one.latency.readings:,}",
                *(f"{_at(one.latency, share) * 1e3:,.0f} ms" for share in (0.5, 0.99, 0.999)),
                f"{one.latency.largest * 1e3:,.0f} ms",
                f"{_at(one.sending, 0.99) * 1e3:,.1f} ms",
            ]
            for one in steps
        ],
    )
    names = list(steps[0].cores)
    work = table(
        ["load", "rows an insert", *(f"cores of {name}" for name in names)],
        [
            [
                f"{one.share:.0%} of the maximum",
                f"{one.batch_rows:,.0f}",
                *(f"{one.cores[name]:.2f}" for name in names),
            ]
            for one in steps
        ],
    )
    return f"{origin}\n\n{ages}\n\n{work}"


def plot(steps: Sequence[Step]) -> str:
    """Latency by percentile; the steps of x are powers of ten of what is left above."""
    top = max(one.latency.largest for one in steps) * 1e3
    least = min(min(one.latency.at) for one in steps) * 1e3
    names = ("50%", "90%", "99%", "99.9%", "99.99%")
    ticks = [(1 / (1 - share), name) for share, name in zip(SHARES, names, strict=True)]
    lines = [
        Line(
            f"{one.share:.0%} load",
            [(at, ms * 1e3) for (at, _), ms in zip(ticks, one.latency.at, strict=True)],
        )
        for one in steps
    ]
    return chart(
        "From the due time of a reading to being visible in ClickHouse",
        Axis("share of the readings that took no longer", ticks, log=True),
        Axis("milliseconds", ticks_of_decades(max(least, 1.0), top), log=True),
        lines,
    )


def _at(latency: Latency, share: float) -> float:
    return latency.at[SHARES.index(share)]
