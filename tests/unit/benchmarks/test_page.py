"""A benchmark's page: figures into results/, tables between the README's marks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.page import Run, table, write

RUN = Run(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "abc1234", "2 cores", "make bench NAME=x")


def test_the_figures_are_kept_and_the_text_takes_the_place_of_the_last(tmp_path: Path) -> None:
    """What stands around the marks stays."""
    readme = tmp_path / "README.md"
    readme.write_text("# Q?\n<!-- results -->\nold\n<!-- /results -->\nend\n", encoding="utf-8")
    write(tmp_path, RUN, {"maximum": 5}, "new")
    assert readme.read_text(encoding="utf-8") == (
        "# Q?\n<!-- results -->\nnew\n<!-- /results -->\nend\n"
    )
    kept = json.loads((tmp_path / "results/2026-01-02-abc1234.json").read_text(encoding="utf-8"))
    assert kept == {**RUN.facts, "maximum": 5}


def test_a_readme_without_marks_is_an_error(tmp_path: Path) -> None:
    """Else the table would be lost without a word."""
    (tmp_path / "README.md").write_text("# Q?\n", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the lines"):
        write(tmp_path, RUN, {}, "new")


def test_text_is_left_and_figures_are_right() -> None:
    """Markdown's ruler says so."""
    assert table(["a", "b", "c"], [["x", "y", "1"]], 2).splitlines() == [
        "| a | b | c |",
        "|---|---|---:|",
        "| x | y | 1 |",
    ]
