"""Dashboards are laid out so that nothing overlaps, and say what each panel shows."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest

from tests.unit.dashboards.boards import Board, Tree, boards
from tests.unit.dashboards.macros import METADATA

WIDTH = 24
# Their columns are lines and spans, not measured values.
WITHOUT_UNIT = {"loki": {"logs"}, "jaeger": {"table"}}
BOARDS = boards()
every_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)


def place(panel: Tree) -> tuple[int, int, int, int]:
    """Left, top, right and bottom edge."""
    at = panel["gridPos"]
    return at["x"], at["y"], at["x"] + at["w"], at["y"] + at["h"]


@every_board
def test_panels_fill_rows_without_overlap(board: Board) -> None:
    """Every row is 24 wide, the next begins where it ends, and no cell belongs to two panels."""
    for one, other in combinations(board.panels, 2):
        left, top, right, bottom = place(one)
        x, y, end, low = place(other)
        apart = right <= x or end <= left or bottom <= y or low <= top
        assert apart, f"{one['title']} lies on {other['title']}"
    y = 0
    for top in sorted({place(panel)[1] for panel in board.panels}):
        row = [panel for panel in board.panels if place(panel)[1] == top]
        names = [panel["title"] for panel in row]
        assert top == y, f"a gap above {names}"
        assert sum(panel["gridPos"]["w"] for panel in row) == WIDTH, names
        assert len({panel["gridPos"]["h"] for panel in row}) == 1, names
        y += row[0]["gridPos"]["h"]


@every_board
def test_every_panel_says_what_it_shows(board: Board) -> None:
    """A title, a sentence or more, and a unit."""
    for panel in board.panels:
        assert panel["title"].strip()
        assert panel.get("description", "").endswith("."), f"{panel['title']} is not described"
        if panel["type"] not in WITHOUT_UNIT.get(panel["datasource"]["uid"], set()):
            assert panel["fieldConfig"]["defaults"].get("unit"), f"{panel['title']} has no unit"


@every_board
def test_single_values_have_colours_of_their_own(board: Board) -> None:
    """Without thresholds Grafana paints everything above 80 red, and 0 and 1 alike."""
    for panel in board.panels:
        if panel["type"] in ("stat", "state-timeline", "gauge"):
            steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
            assert steps, panel["title"]
            assert steps[0]["value"] is None, "the first step has no lower bound"
            bounds = [step["value"] for step in steps[1:]]
            assert bounds == sorted(bounds), panel["title"]
            if panel.get("options", {}).get("colorMode") == "background":
                assert len(steps) > 1, f"{panel['title']} is always of one colour"


@every_board
def test_ids_and_series_can_be_told_apart(board: Board) -> None:
    """Ids of panels, queries within a panel, and the names of Prometheus' series."""
    ids = [panel["id"] for panel in board.panels]
    assert len(ids) == len(set(ids))
    for panel in board.panels:
        names = [target["refId"] for target in panel["targets"]]
        assert names, panel["title"]
        assert len(names) == len(set(names)), panel["title"]
        if panel["datasource"]["uid"] == "prometheus" and panel["type"] == "timeseries":
            assert all(target.get("legendFormat") for target in panel["targets"]), panel["title"]


@every_board
def test_the_dashboards_find_each_other(board: Board) -> None:
    """Each lists all the others; a link leads to one that is there and has its variables."""
    assert board.data["uid"] == board.name
    assert "iot-lakehouse" in board.data["tags"]
    listed = [one for one in board.data["links"] if one["type"] == "dashboards"]
    assert [one["tags"] for one in listed] == [["iot-lakehouse"]]
    variables = {one["name"] for one in board.variables}
    assert not variables & METADATA, "Grafana would change the names of tables"
    names = {one.name for one in BOARDS}
    for url in re.findall(r'"url": "(/[^"]*)"', json_text(board)):
        target, _, query = url.removeprefix("/d/").partition("?")
        assert target in names, url
        assert set(re.findall(r"\$\{(\w+):queryparam\}", query)) <= variables, url
        there = next(one for one in BOARDS if one.name == target)
        known = {one["name"] for one in there.variables}
        assert set(re.findall(r"var-(\w+)=", query)) <= known, url


def json_text(board: Board) -> str:
    """The file, on one line."""
    return json.dumps(board.data, ensure_ascii=False)


def test_all_three_ways_to_look_are_there() -> None:
    """Real time from ClickHouse, history from Trino, health from Prometheus."""
    wanted = {"readings-now": "clickhouse", "readings-history": "trino", "ingest": "prometheus"}
    for board in BOARDS:
        if board.name in wanted:
            uids = {panel["datasource"]["uid"] for panel in board.panels}
            assert uids == {wanted.pop(board.name)}
    assert not wanted
