"""Every query to ClickHouse runs on its engine and answers in the shape that its panel needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from ingest.clickhouse_client import connect
from tests.integration.dashboards.standard import VARIABLES, StandardLane
from tests.unit.dashboards.boards import TABLE, Question, metric_names, questions
from tests.unit.dashboards.grafana import Window
from tests.unit.dashboards.macros import CLICKHOUSE, sql

NOT_HERE = {
    "clickhouse: Slowest queries of the last hour A": "the embedded engine keeps no query_log",
}
UNKNOWN_TABLE = 60
NUMBERS = ("Int", "UInt", "Float", "Decimal", "Nullable(Int", "Nullable(UInt", "Nullable(Float")


def window() -> Window:
    """The last hour, as the dashboard opens."""
    now = datetime.now(UTC)
    return Window(now - timedelta(hours=1), now + timedelta(minutes=1))


def asked(lane: StandardLane, question: Question) -> tuple[list[str], Sequence[Sequence[Any]]]:
    """Types of the columns, and the rows."""
    client = connect(lane.settings.clickhouse, database="default")
    try:
        found = client.query(sql(question.text, CLICKHOUSE, VARIABLES, window()))
        return [one.name for one in found.column_types], found.result_rows
    finally:
        client.close()


@pytest.mark.parametrize("question", questions("clickhouse"), ids=str)
def test_it_answers_with_rows(pipeline: StandardLane, question: Question) -> None:
    """At least one, and a series in order of time with a number to draw."""
    if str(question) in NOT_HERE:
        with pytest.raises(DatabaseError) as refused:
            asked(pipeline, question)
        assert refused.value.code == UNKNOWN_TABLE, NOT_HERE[str(question)]
        return
    types, rows = asked(pipeline, question)
    assert rows, "no rows"
    if question.shape == TABLE:
        assert any(value is not None for value in rows[0])
        if question.panel == "stat":
            assert len(types) == 1
            assert types[0].startswith(NUMBERS)
        return
    assert types[0].startswith("DateTime"), f"the first column is {types[0]}, expected the time"
    assert any(one.startswith(NUMBERS) for one in types[1:])
    times = [row[0] for row in rows]
    assert times == sorted(times)


def test_a_value_with_a_quote_stays_a_value(pipeline: StandardLane) -> None:
    """A metric is what a device calls it: nothing in its name may end the string."""
    for question in questions("clickhouse"):
        if "${metric" in question.text:
            text = sql(question.text, CLICKHOUSE, {**VARIABLES, "metric": ["it's"]}, window())
            client = connect(pipeline.settings.clickhouse, database="default")
            assert client.query(text).result_rows == []
            client.close()


PLACES = {
    "ClickHouseMetrics_": "SELECT metric FROM system.metrics",
    "ClickHouseProfileEvents_": (
        "SELECT event FROM system.events SETTINGS system_events_show_zero_values = 1"
    ),
}
"""Where the server's exporter takes its metrics from. Asynchronous ones are only in a server."""


@pytest.mark.parametrize("prefix", PLACES)
def test_clickhouse_has_the_metrics_of_the_dashboards(pipeline: StandardLane, prefix: str) -> None:
    """The engine knows every name behind its prefix."""
    used = {name.removeprefix(prefix) for name in metric_names(prefix)}
    assert used
    client = connect(pipeline.settings.clickhouse, database="default")
    known = {str(row[0]) for row in client.query(PLACES[prefix]).result_rows}
    client.close()
    assert used <= known, f"unknown to ClickHouse: {sorted(used - known)}"


def test_sample_values_are_what_the_panels_show(pipeline: StandardLane) -> None:
    """The doubled reading, and the suspect ones, are counted."""
    found = {one.where: one for one in questions("clickhouse")}
    assert int(asked(pipeline, found["Sent twice, in an hour A"])[1][0][0]) >= 1
    assert int(asked(pipeline, found["Not good, in an hour A"])[1][0][0]) >= 20
    assert int(asked(pipeline, found["Devices in ten minutes A"])[1][0][0]) == 7
