"""How far a long preparation is: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

Report = Callable[[int], None]
"""Takes the bytes done so far."""

_LINE_EVERY_S = 10.0
_MB = 1_000_000


class Progress:
    """Tells a person on `stream` (default: stderr) what is being done."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def say(self, text: str) -> None:
        """Write one line."""
        print(text, file=self._stream, flush=True)

    @contextmanager
    def bytes(self, what: str, total: int) -> Iterator[Report]:
        """Report the bytes of `total` while the block runs."""
        if self._stream.isatty():
            with self._bar(what, total) as report:
                yield report
        else:
            yield self._lines(what, total)

    @contextmanager
    def _bar(self, what: str, total: int) -> Iterator[Report]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bars

        console = Console(file=self._stream)
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Bars(what, *columns, console=console) as bars:
            task = bars.add_task(what, total=total)
            yield lambda done: bars.update(task, completed=done)

    def _lines(self, what: str, total: int) -> Report:
        began = time.monotonic()
        told, first = began, -1

        def report(done: int) -> None:
            nonlocal told, first
            now = time.monotonic()
            first = done if first < 0 else first
            if now - told >= _LINE_EVERY_S:
                told = now
                rate = (done - first) / (now - began) / _MB
                self.say(f"{what}: {done // _MB} of {total // _MB} MB, {rate:.1f} MB/s")

        return report
