"""Shows how a run goes: a bar on a terminal, one plain line every few seconds elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from simulator.publisher import Publisher, Stats

BAR_INTERVAL_S = 0.2
LINE_INTERVAL_S = 5.0

Show = Callable[[Stats, float], None]


def line(stats: Stats, rate: float) -> str:
    """One line of a run's live counts; ``rate`` in messages a second."""
    state = "" if stats.connected else ", not connected"
    return (
        f"{stats.elapsed_s:.0f} s: {stats.acknowledged} messages acknowledged, {rate:.0f}/s, "
        f"{stats.in_flight} in flight, {stats.resent} sent again{state}"
    )


async def show_progress(
    publisher: Publisher, expected: int | None, stream: TextIO = sys.stderr
) -> None:
    """Shows the publisher's counts on ``stream`` until cancelled.

    ``expected`` messages make the length of the bar; None: unknown.
    """
    if not stream.isatty():
        await _every(LINE_INTERVAL_S, publisher, lambda s, r: print_line(stream, line(s, r)))
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        console=Console(file=stream),
        transient=True,
    )
    task = bar.add_task("publishing", total=expected, counts="")

    def draw(stats: Stats, rate: float) -> None:
        done = min(stats.acknowledged, expected) if expected is not None else stats.acknowledged
        counts = (
            f"{stats.acknowledged:,} acknowledged  {rate:,.0f}/s  "
            f"{stats.in_flight:,} in flight  {stats.resent:,} sent again"
        )
        description = "publishing" if stats.connected else "connecting"
        bar.update(task, completed=done, counts=counts, description=description)

    with bar:
        await _every(BAR_INTERVAL_S, publisher, draw)


async def _every(interval_s: float, publisher: Publisher, show: Show) -> None:
    before = publisher.stats()
    while True:
        await asyncio.sleep(interval_s)
        stats = publisher.stats()
        passed_s = max(1e-9, stats.elapsed_s - before.elapsed_s)
        show(stats, (stats.acknowledged - before.acknowledged) / passed_s)
        before = stats


def print_line(stream: TextIO, text: str) -> None:
    """Writes one line at once, also into a pipe."""
    stream.write(f"{text}\n")
    stream.flush()
