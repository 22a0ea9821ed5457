"""What the viewer sees: one line a phase with its time, and a live table while messages flow.

On a terminal the current phase is redrawn in place; elsewhere only whole lines are written.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

LINE_EVERY_S = 2.0
INDENT = 4
TITLE_WIDTH = 9


class Phase:
    """One step of the demonstration; ``result`` is what its line says when it is over."""

    def __init__(self, console: Console, number: int, title: str, doing: str) -> None:
        self._console = console
        self._number = number
        self._title = title
        self.result = doing
        self._began = time.monotonic()
        self._spinner = Spinner("line", style="cyan")
        self._below: RenderableType | None = None
        self._last_line = self._began

    def show(self, table: RenderableType, line: str) -> None:
        """Draws ``table`` below the phase, or writes ``line`` now and then without a terminal."""
        self._below = table
        if not self._console.is_terminal and time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            self._console.print(Text(" " * INDENT + line), soft_wrap=True)

    def __rich__(self) -> RenderableType:
        """The phase as it is now."""
        head = self._head(self._spinner)
        if self._below is None:
            return head
        return Group(head, Padding(self._below, (0, 0, 0, INDENT)))

    def end(self) -> None:
        """Leaves the phase's line."""
        self._console.print(self._head(Text(str(self._number), style="green")))

    def _head(self, mark: RenderableType) -> Table:
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(width=1)
        head.add_column(width=TITLE_WIDTH)
        head.add_column(ratio=1)
        head.add_column(justify="right", no_wrap=True)
        seconds = f"{time.monotonic() - self._began:.1f} s"
        head.add_row(mark, Text(self._title, style="bold"), self.result, Text(seconds, style="dim"))
        return head


class Screen:
    """The demonstration's output on stdout."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._phases = 0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time since the demonstration began."""
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def phase(self, title: str, doing: str) -> Iterator[Phase]:
        """Shows a phase while it goes on and leaves one line of it."""
        self._phases += 1
        phase = Phase(self.console, self._phases, title, doing)
        if self.console.is_terminal:
            with Live(phase, console=self.console, refresh_per_second=8, transient=True):
                yield phase
        else:
            yield phase
        phase.end()

    def note(self, text: str, style: str = "") -> None:
        """One paragraph; without a terminal in one line."""
        self.console.print(Text(text, style=style), soft_wrap=not self.console.is_terminal)

    def heading(self, text: str) -> None:
        """A line above what belongs together, with air before it."""
        self.console.print()
        self.console.print(Text(text, style="bold"))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table; every column but the first is set right."""
        self.console.print(Padding(plain_table(columns, rows), (0, 0, 0, INDENT)))

    def pairs(self, rows: Sequence[tuple[str, str]]) -> None:
        """Commands or names, each with what it is."""
        table = Table.grid(padding=(0, 3, 0, 0))
        for name, text in rows:
            table.add_row(Text(name, style="cyan"), text)
        self.console.print(Padding(table, (0, 0, 0, INDENT)))

    def restore(self) -> None:
        """Gives the terminal its cursor back, whatever was interrupted."""
        self.console.show_cursor(show=True)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without lines; every column but the first is set right."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
