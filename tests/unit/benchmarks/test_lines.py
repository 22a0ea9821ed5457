"""Line charts: well-formed, every point inside the frame, scales that are right."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks.lines import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axis,
    Line,
    chart,
    ticks_of_decades,
    ticks_upto,
)

X = Axis("messages", [(10.0, "10"), (100.0, "100"), (1000.0, "1,000")], log=True)
Y = Axis("us", [(0.0, "0"), (4.0, "4")])


def places(document: str) -> list[tuple[float, float]]:
    """Where the points of the chart are."""
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', document)
    return [(float(x), float(y)) for x, y in found]


def test_points_are_where_their_values_are() -> None:
    """The bounds of the axes are the frame; the middle of a logarithm is its square root."""
    found = places(chart("cost", X, Y, [Line("hot", [(10, 0), (100, 2), (1000, 4)])]))
    middle = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    assert found == [(LEFT, BOTTOM), middle, (RIGHT, TOP)]


def test_a_value_beyond_the_axis_lies_on_its_bound() -> None:
    """A chart never draws outside of its frame."""
    assert places(chart("cost", X, Y, [Line("hot", [(1, 9), (5000, -1)])])) == [
        (LEFT, TOP),
        (RIGHT, BOTTOM),
    ]


def test_names_are_text_and_not_markup() -> None:
    """The document is well-formed whatever the names are."""
    document = chart("a < b & c", X, Y, [Line("<1 ms>", [(10, 1)])])
    texts = [node.text for node in ET.fromstring(document).iter() if node.text]
    assert "a < b & c" in texts
    assert "<1 ms>" in texts


@pytest.mark.parametrize("largest", [0.4, 3.1, 9.0, 100.0, 264_123.0])
def test_ticks_reach_the_largest_value(largest: float) -> None:
    """And are no more than twice as far as needed."""
    values = [value for value, _ in ticks_upto(largest)]
    assert values[0] == 0
    assert largest <= values[-1] <= 2.5 * largest


def test_decades_hold_both_ends() -> None:
    """A logarithmic axis has two ticks at least."""
    assert [value for value, _ in ticks_of_decades(3, 400)] == [1, 10, 100, 1000]
    assert [text for _, text in ticks_of_decades(10, 10)] == ["10", "100"]
