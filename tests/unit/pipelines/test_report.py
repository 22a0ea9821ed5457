"""Tables and plots in the metadata of runs."""

from __future__ import annotations

import base64
import struct

from pipelines.report import plots
from pipelines.report.tables import markdown_table


def test_a_table_is_markdown_with_numbers_at_the_right() -> None:
    """Numbers are grouped and aligned; a pipe in a text does not break its cell."""
    table = markdown_table(["file", "rows"], [["a|b", 1234567], ["c", None]])

    assert table.value == ("| file | rows |\n| --- | ---: |\n| a\\|b | 1,234,567 |\n| c |  |")


def test_plots_are_small_pngs_inside_markdown() -> None:
    """A picture shows in the UI and is small enough for the event log."""
    seconds = list(range(600))
    pictures = [
        plots.bars("Files", ["before", "after"], {"count": [2000.0, 8.0]}, "files"),
        plots.lines(
            "Hot path",
            [float(second) for second in seconds],
            {"p99": [second % 7 for second in seconds], "p50": [second % 5 for second in seconds]},
            "s",
            spans=[(100, 200)],
        ),
    ]

    for picture in pictures:
        head, _, encoded = str(picture.value).partition("base64,")
        png = base64.b64decode(encoded.removesuffix(")"))
        assert head.endswith("(data:image/png;")
        assert png.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", png[16:24])
        assert width > 400 < height * 2
        assert len(png) < plots.MAX_BYTES
