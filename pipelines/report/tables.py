"""Tables in the metadata of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue:
    """A markdown table; numbers stand at the right, with thousands separated."""
    listed = [list(row) for row in rows]
    sides = ["---:" if _is_numeric(listed, column) else "---" for column in range(len(headers))]
    lines = [_line(headers), _line(sides), *(_line(map(_text, row)) for row in listed)]
    return dg.MetadataValue.md("\n".join(lines))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1_000 else f"{value:,.0f}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _is_numeric(rows: Sequence[Sequence[object]], column: int) -> bool:
    values = [row[column] for row in rows if row[column] is not None]
    return bool(values) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
