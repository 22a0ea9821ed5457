"""The tables and plots of the scaling benchmark."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from benchmarks.backlog import Drain
from benchmarks.page import Run
from benchmarks.scaling.plan import COUNT, PAYLOAD, plan
from benchmarks.scaling.tables import Marginal, Measured, plots, tables

START_S, EACH_US, RATE = 0.5, 3.0, 200_000


def measured() -> list[Measured]:
    """Every way of the plan, at the same cost a message behind the same start."""
    return [
        Measured(
            way,
            stream.rows_per_message,
            [
                Drain(
                    stream.messages,
                    stream.messages / RATE,
                    START_S + stream.messages * EACH_US / 1e6,
                    300.0,
                )
            ],
        )
        for stream in plan(quick=False)
        for way in stream.ways
    ]


def test_the_start_is_taken_off_and_what_is_left_is_flat() -> None:
    """The cost of a message is the same at any number of them."""
    marginal = Marginal.of(measured())
    assert marginal.costs == pytest.approx([EACH_US] * 3)
    assert "-0.0 % a decade" in str(marginal).replace("+", "-")


def test_every_way_has_its_row_and_readings_are_rows() -> None:
    """Nothing that was measured is left out of the page."""
    found = measured()
    run = Run(datetime(2026, 1, 2, tzinfo=UTC), "abc1234", "2 cores", "make bench NAME=scaling")
    shown = tables(run, found).splitlines()
    assert sum(1 for line in shown if line.startswith("| ")) == len(found) + 5
    arrow = next(line for line in shown if line.startswith("| Arrow of 1,000 |"))
    assert arrow.endswith(f"| {RATE * 1_000:,} |")
    assert {one.way.group for one in found} >= {COUNT, PAYLOAD}


def test_plots_are_whole_documents() -> None:
    """As many points as were measured."""
    for document in plots(measured()).values():
        assert ET.fromstring(document).tag.endswith("svg")
    assert plots(measured())["count.svg"].count("<circle") == 3
    assert plots(measured())["batch.svg"].count("<circle") == 4
