"""Text in columns that never cuts a value: what is piped or searched must be whole."""

from __future__ import annotations

from collections.abc import Sequence

import click


def print_columns(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under a header, each column as wide as its longest cell; an empty cell is "-"."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else str(value)
