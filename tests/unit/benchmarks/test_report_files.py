"""What a benchmark writes: results, plot and the README's table."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.backlog import Drain
from benchmarks.plot import Bar, bars
from benchmarks.report import BEGIN, END, Case, put, write

SVG = "{http://www.w3.org/2000/svg}"


def case(name: str, *rates: float) -> Case:
    """A case with a round for each rate."""
    return Case(name, "reads", [Drain(1_000, 1_000 / rate, 0.005, 50.0) for rate in rates])


def test_figures_plot_and_table_are_written(tmp_path: Path) -> None:
    """The JSON has every round, the README keeps what stands around the table."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")

    shown = write(tmp_path, [case("a", 100, 300), case("b", 200, 400)], "a", "make", more={"x": 1})

    [result] = (tmp_path / "results").iterdir()
    figures = json.loads(result.read_text(encoding="utf-8"))
    assert [one["messages_per_s"] for one in figures["cases"]["b"]] == [200, 400]
    assert figures["x"] == 1
    assert readme.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{shown}\n{END}\nafter\n"
    assert "| b | reads | 300 | 1.67 | 5.00 | 50 MB |" in shown
    assert ET.parse(tmp_path / "plot.svg").getroot().tag == f"{SVG}svg"


def test_a_readme_without_marks_is_not_touched(tmp_path: Path) -> None:
    """The table has no place there; nothing may be lost."""
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n", encoding="utf-8")

    with pytest.raises(ValueError, match="lacks the lines"):
        put(readme, "table")

    assert readme.read_text(encoding="utf-8") == f"{BEGIN}\n"


def test_bars_are_as_long_as_their_medians() -> None:
    """On one scale from zero; the one that is meant stands out; names are text, not markup."""
    root = ET.fromstring(bars("Rates", [Bar("a<b", [3, 1, 2]), Bar("c", [4], True)]))

    first, second = root.iter(f"{SVG}rect")
    assert float(second.attrib["width"]) == pytest.approx(2 * float(first.attrib["width"]))
    assert (first.attrib["class"], second.attrib["class"]) == ("b", "o")
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts == ["Rates", "a<b", "2", "c", "4"]
