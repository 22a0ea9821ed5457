"""Panels of Prometheus have series once the writers run, with the labels that they are drawn by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.dashboards.prometheus import Prometheus
from tests.integration.dashboards.standard import VARIABLES, StandardLane
from tests.support.waiting import until
from tests.unit.dashboards.boards import Board, Question, boards, questions
from tests.unit.dashboards.grafana import Window, put_in

WITHOUT_EXPORTER = {"Dead letters in the stream A": "of NATS' exporter, which is not run here"}


@pytest.fixture(scope="module")
def prometheus(
    pipeline: StandardLane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Reads both writers."""
    told = [writer.said("listening")[0]["address"] for writer in pipeline.writers]
    folder = tmp_path_factory.mktemp("prometheus")
    with Prometheus(folder, {"ingest": told}) as running:
        yield running


def expression(text: str) -> str:
    """What Grafana sends."""
    now = datetime.now(UTC)
    window = Window(now - timedelta(hours=3), now)
    return put_in(text, VARIABLES, window, plain="regex")


def drawn_by(board: Board, where: str) -> set[str]:
    """Labels in the name of a query's series."""
    for panel in board.panels:
        for target in panel["targets"]:
            if f"{panel['title']} {target['refId']}" == where:
                return set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
    raise AssertionError(f"no {where} in {board.name}")


@pytest.mark.usefixtures("traffic")
def test_every_panel_of_the_pipeline_has_series(prometheus: Prometheus) -> None:
    """With readings coming in, none is empty and every name in a legend is a label."""
    board = next(one for one in boards() if one.name == "ingest")
    asked = [one for one in questions("prometheus") if one.board == "ingest"]
    assert len(asked) > 30
    for question in asked:
        if question.where in WITHOUT_EXPORTER or question.panel == "variable":
            continue
        text = expression(question.text)
        series = until(lambda text=text: prometheus.query(text), f"{question} has series: {text}")
        for one in series:
            missing = drawn_by(board, question.where) - one.keys()
            assert not missing, f"{question}: series {one} has no {missing}"


@pytest.mark.parametrize("question", questions("prometheus"), ids=str)
def test_prometheus_takes_the_query(prometheus: Prometheus, question: Question) -> None:
    """Every expression of every dashboard, whether its exporter runs here or not."""
    if question.panel == "variable":
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", question.text)
        assert found is not None
        assert until(lambda: prometheus.query(found[1]), f"series of {found[1]}")[0][found[2]]
        return
    prometheus.query(expression(question.text))
