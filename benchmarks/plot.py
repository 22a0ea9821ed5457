"""Bar charts as SVG, readable on light and on dark pages."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

PLOT = "plot.svg"
WIDTH, LEFT, RIGHT = 720, 190, 620
TOP, STEP, THICK = 44, 28, 18
# Text follows the reader's choice; bars and whiskers are in between and show on both.
STYLE = (
    "text{font:12px sans-serif;fill:#374151}.t{font-size:14px;font-weight:600}"
    ".b{fill:#9ca3af}.o{fill:#3b82f6}.w{stroke:#374151;stroke-width:1.5;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#d1d5db}.b{fill:#6b7280}.w{stroke:#d1d5db}}"
)


@dataclass(frozen=True)
class Bar:
    """Measurements of one thing; the bar is their median, the whisker goes from least to most."""

    name: str
    values: Sequence[float]
    outstanding: bool = False

    @property
    def median(self) -> float:
        """What the bar's length and number show."""
        return statistics.median(self.values)


def bars(title: str, rows: Sequence[Bar]) -> str:
    """The chart as an SVG document, one bar below the other, on one scale from zero."""
    largest = max(max(row.values) for row in rows)
    height = TOP + STEP * len(rows) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text class="t" x="8" y="22">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        parts += _bar(row, TOP + STEP * number, (RIGHT - LEFT) / (largest or 1.0))
    return "\n".join([*parts, "</svg>", ""])


def _bar(row: Bar, top: int, scale: float) -> list[str]:
    low, high = LEFT + min(row.values) * scale, LEFT + max(row.values) * scale
    middle, text = top + THICK / 2, top + THICK / 2 + 4
    kind = "o" if row.outstanding else "b"
    width = row.median * scale
    whisker = f"M{low:.1f} {middle:.0f}H{high:.1f}"
    ends = f"M{low:.1f} {middle - 4:.0f}v8M{high:.1f} {middle - 4:.0f}v8"
    return [
        f'<text x="{LEFT - 8}" y="{text:.0f}" text-anchor="end">{escape(row.name)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{width:.1f}" height="{THICK}"/>',
        f'<path class="w" d="{whisker}{ends}"/>',
        f'<text x="{high + 8:.1f}" y="{text:.0f}">{row.median:,.0f}</text>',
    ]
