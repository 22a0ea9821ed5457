"""Line charts as SVG, readable on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 700, 52, 312
COLOURS = ("#3b82f6", "#ea580c", "#16a34a", "#a855f7", "#db2777", "#0891b2")
# Text and grid follow the reader's choice; the lines are bright enough for both.
STYLE = (
    "text{font:12px sans-serif;fill:#374151}.t{font-size:14px;font-weight:600}"
    ".g{stroke:#9ca3af;stroke-opacity:.4;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#d1d5db}}"
)


@dataclass(frozen=True)
class Axis:
    """An axis and its ticks: value and text of each; the first and the last bound the axis."""

    title: str
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def scale(self, start: float, end: float) -> Callable[[float], float]:
        """The place of a value between ``start`` and ``end``; what is beyond lies on the bound."""
        bend = math.log10 if self.log else float
        low, high = bend(self.ticks[0][0]), bend(self.ticks[-1][0])

        def place(value: float) -> float:
            inside = min(max(value, self.ticks[0][0]), self.ticks[-1][0])
            return start + (bend(inside) - low) / (high - low) * (end - start)

        return place


@dataclass(frozen=True)
class Line:
    """One series of points (x, y) in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The chart as an SVG document."""
    across, up = x.scale(LEFT, RIGHT), y.scale(BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        _text(LEFT, 18, title, "start", "t"),
        _text((LEFT + RIGHT) / 2, HEIGHT - 8, x.title, "middle"),
        f'<g transform="rotate(-90 14 {(TOP + BOTTOM) / 2})">',
        _text(14, (TOP + BOTTOM) / 2, y.title, "middle"),
        "</g>",
    ]
    for value, text in x.ticks:
        parts.append(f'<path class="g" d="M{across(value):.1f} {TOP}V{BOTTOM}"/>')
        parts.append(_text(across(value), BOTTOM + 18, text, "middle"))
    for value, text in y.ticks:
        parts.append(f'<path class="g" d="M{LEFT} {up(value):.1f}H{RIGHT}"/>')
        parts.append(_text(LEFT - 8, up(value) + 4, text, "end"))
    for number, line in enumerate(lines):
        parts += _line(number, line, [(across(a), up(b)) for a, b in line.points])
    return "\n".join([*parts, "</svg>", ""])


def ticks_upto(largest: float, steps: int = 5) -> list[tuple[float, str]]:
    """Round ticks from 0 to at least ``largest``."""
    rough = max(largest, 1e-9) / steps
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * scale for factor in (1, 2, 2.5, 5, 10) if factor * scale >= rough)
    return [(step * number, f"{step * number:,.10g}") for number in range(steps + 1)]


def ticks_of_decades(least: float, largest: float, unit: str = "") -> list[tuple[float, str]]:
    """Powers of ten around ``least`` and ``largest``, for a logarithmic axis."""
    first = math.floor(math.log10(least))
    last = max(math.ceil(math.log10(largest)), first + 1)
    values = [10.0**power for power in range(first, last + 1)]
    return [(value, f"{value:,.10g}{unit}") for value in values]


def _line(number: int, line: Line, places: Sequence[tuple[float, float]]) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    legend = LEFT + 8 + number * (RIGHT - LEFT) / len(COLOURS)
    dots = [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places]
    return [
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<rect x="{legend:.1f}" y="32" width="10" height="10" fill="{colour}"/>',
        _text(legend + 14, 41, line.name, "start"),
    ]


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{shown}>{escape(text)}</text>'
