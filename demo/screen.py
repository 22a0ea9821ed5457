"""What the viewer sees: one line a phase with its time, and a live table while the fleet sends.

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


class Phase:
    """One step of the demonstration while it goes on."""

    def __init__(self, console: Console, number: int, title: str) -> None:
        self._console = console
        self._number = number
        self.title = title
        self.result = ""
        self.began = time.monotonic()
        self._spinner = Spinner("line", style="cyan")
        self._below: RenderableType | None = None
        self._last_line = self.began

    @property
    def seconds(self) -> float:
        """Time since the phase began."""
        return time.monotonic() - self.began

    def show(self, table: RenderableType, line: str) -> None:
        """Draws ``table`` below the phase, or writes ``line`` now and then without a terminal."""
        self._below = table
        if not self._console.is_terminal and time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            self._console.print(Text(" " * INDENT + line))

    def __rich__(self) -> RenderableType:
        """The phase as it is now."""
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(width=2, justify="right")
        head.add_column(ratio=1)
        head.add_column(justify="right")
        head.add_row(self._spinner, Text(self.title, style="bold"), Text(f"{self.seconds:.1f} s"))
        if self._below is None:
            return head
        return Group(head, Padding(self._below, (0, 0, 0, INDENT)))

    def line(self) -> RenderableType:
        """The phase when it is over."""
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(width=2, justify="right")
        head.add_column(ratio=1)
        head.add_column(justify="right")
        told = Text.assemble((self.title, "bold"), "  ", self.result)
        head.add_row(Text(str(self._number), style="green"), told, f"{self.seconds:.1f} s")
        return head


class Screen:
    """The demonstration's output on stdout."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=False)
        self._phases = 0
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time since the demonstration began."""
        return time.monotonic() - self.began

    @contextlib.contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        """Shows a phase while it goes on and leaves one line of it."""
        self._phases += 1
        phase = Phase(self.console, self._phases, title)
        if not self.console.is_terminal:
            yield phase
            self.console.print(phase.line())
            return
        with Live(phase, console=self.console, refresh_per_second=8, transient=True):
            yield phase
        self.console.print(phase.line())

    def note(self, text: str, style: str = "") -> None:
        """One paragraph."""
        self.console.print(Text(text, style=style))

    def heading(self, text: str) -> None:
        """A line above what belongs together, with air before it."""
        self.console.print()
        self.console.print(Text(text, style="bold"))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table; every column but the first is set right."""
        self.console.print(Padding(plain_table(columns, rows), (0, 0, 0, INDENT)))


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without lines; every column but the first is set right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
