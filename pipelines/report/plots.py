"""Plots in the metadata of a run: small PNG pictures inside markdown.

Events live in Dagster's database, so a picture is kept below 100 kB.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes"], None]

MAX_BYTES = 100_000
_INCHES = (6.4, 2.8)
_DPI = 96
_COLOURS = ("#4f46e5", "#f59e0b", "#10b981", "#ef4444", "#64748b")


def bars(
    title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str
) -> dg.MetadataValue:
    """Grouped bars, one group a label; ``unit`` names the axis of values."""

    def draw(axes: Axes) -> None:
        width = 0.8 / max(len(series), 1)
        for number, (name, values) in enumerate(series.items()):
            places = [place + number * width for place in range(len(values))]
            axes.bar(places, values, width, label=name, color=_COLOURS[number % len(_COLOURS)])
        centre = (len(series) - 1) * width / 2
        axes.set_xticks([place + centre for place in range(len(labels))], labels)

    return _picture(title, unit, draw_series=draw, legend=len(series) > 1)


def lines(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    unit: str,
    *,
    x_label: str = "seconds",
    spans: Sequence[tuple[float, float]] = (),
) -> dg.MetadataValue:
    """Lines over ``x``; ``spans`` are shaded, for instance while a statement ran."""

    def draw(axes: Axes) -> None:
        for since, until in spans:
            axes.axvspan(since, until, color="#e2e8f0", zorder=0)
        for number, (name, values) in enumerate(series.items()):
            axes.plot(x, values, label=name, color=_COLOURS[number % len(_COLOURS)], linewidth=1.5)
        axes.set_xlabel(x_label)
        axes.set_ylim(bottom=0)

    return _picture(title, unit, draw_series=draw, legend=len(series) > 1)


def _picture(title: str, unit: str, *, draw_series: Draw, legend: bool) -> dg.MetadataValue:
    png = _png(title, unit, draw_series, legend=legend)
    if len(png) > MAX_BYTES:
        return dg.MetadataValue.md(f"{title}: the picture has {len(png):,} bytes, too many to keep")
    return dg.MetadataValue.md(
        f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"
    )


def _png(title: str, unit: str, draw: Draw, *, legend: bool) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    if legend:
        axes.legend(frameon=False, fontsize=8)
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()
