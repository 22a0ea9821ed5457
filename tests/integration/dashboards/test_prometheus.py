"""Panels of Prometheus have series once the writers run, with the labels that they are drawn by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from devstack.supervisor import Devstack
from ingest.metrics import Metrics
from tests.integration.dashboards.exporter import BUILD_S, Exporter
from tests.integration.dashboards.prometheus import Prometheus, Series
from tests.integration.dashboards.standard import VARIABLES, StandardLane
from tests.support.waiting import until
from tests.unit.dashboards.boards import Question, boards, metric_names, questions
from tests.unit.dashboards.grafana import Window, put_in

ALL = [one for one in questions("prometheus") if one.panel != "variable"]
OF_NATS = "nats_"


@pytest.fixture(scope="module")
def prometheus(
    pipeline: StandardLane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Reads both writers."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Prometheus(folder, {"ingest": writers(pipeline)}) as running:
        yield running


def writers(pipeline: StandardLane) -> list[str]:
    """Addresses of both."""
    return [writer.said("listening")[0]["address"] for writer in pipeline.writers]


def expression(text: str) -> str:
    """What Grafana sends."""
    now = datetime.now(UTC)
    window = Window(now - timedelta(hours=3), now)
    return put_in(text, VARIABLES, window, plain="regex")


def expect_series(prometheus: Prometheus, question: Question) -> None:
    """At least one, with every label that is in the legend."""
    text = expression(question.text)
    for one in series(prometheus, question, text):
        missing = drawn_by(question) - one.keys()
        assert not missing, f"{question}: series {one} has no {missing}"


def series(prometheus: Prometheus, question: Question, text: str) -> list[Series]:
    """Those of the expression, once there are some."""
    return until(lambda: prometheus.query(text), f"{question} has series: {text}")


def drawn_by(question: Question) -> set[str]:
    """Labels in the name of a query's series."""
    for board in boards():
        for panel in board.panels:
            for target in panel["targets"]:
                if f"{board.name}: {panel['title']} {target['refId']}" == str(question):
                    return set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
    raise AssertionError(f"no panel asks {question}")


@pytest.mark.usefixtures("traffic")
def test_every_panel_of_the_pipeline_has_series(prometheus: Prometheus) -> None:
    """With readings coming in, none is empty and every name in a legend is a label."""
    asked = [one for one in ALL if one.board == "ingest" and OF_NATS not in one.text]
    assert len(asked) > 30
    for question in asked:
        expect_series(prometheus, question)


def test_prometheus_takes_every_query(prometheus: Prometheus) -> None:
    """Of every dashboard, whether its exporter runs here or not; the variable's too."""
    for question in ALL:
        prometheus.query(expression(question.text))
    for question in questions("prometheus"):
        if question.panel == "variable":
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", question.text)
            assert found is not None, question.text
            assert series(prometheus, question, found[1])[0][found[2]]


def test_every_metric_of_the_writers_is_shown() -> None:
    """What is exported and on no dashboard is looked at by nobody."""
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metric_names()}
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for path in ("hot", "lake")
        for family in Metrics("L", path).registry.collect()
    }
    assert {name for name in exported if name.startswith("ingest_")} <= shown


@pytest.mark.timeout(BUILD_S + 120)
@pytest.mark.usefixtures("traffic")
def test_every_panel_of_nats_has_series(
    servers: Devstack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From the exporter that compose and the cluster run, over the real server."""
    folder = tmp_path_factory.mktemp("nats")
    monitor = servers.endpoints["nats"]["monitor"]
    with (
        Exporter(folder, monitor) as exporter,
        Prometheus(folder, {"nats": [exporter.address]}) as prometheus,
    ):
        asked = [one for one in ALL if one.board == "nats" or OF_NATS in one.text]
        assert len(asked) > 10
        for question in asked:
            expect_series(prometheus, question)
