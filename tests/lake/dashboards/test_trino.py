"""Every query to Trino runs on the real one and answers in the shape that its panel needs."""

from __future__ import annotations

import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ssl import create_default_context
from typing import Any

import pytest
import trino.dbapi
from requests import Session

from pipelines.trino_link import address_of
from tests.integration.dashboards.standard import VARIABLES, StandardLane
from tests.support.lakehouse import lakehouse_of
from tests.unit.dashboards.boards import TABLE, Question, metric_names, questions
from tests.unit.dashboards.grafana import Window
from tests.unit.dashboards.macros import TRINO, sql

NUMBERS = ("tinyint", "smallint", "integer", "bigint", "real", "double")
# The plugin turns these into fields; a row or a map would end as an error.
KNOWN = (*NUMBERS, "boolean", "varchar", "char", "date", "time", "timestamp", "decimal")

# The platform's Trino is newer than the one that runs here: new name to old.
RENAMED = {
    "trino_node_name_CoordinatorNodeManager_ActiveNodeCount": (
        "trino_metadata_name_DiscoveryNodeManager_ActiveNodeCount"
    )
}


def window() -> Window:
    """A month, to this moment."""
    now = datetime.now(UTC)
    return Window(now - timedelta(days=30), now, interval_s=3600)


def asked(lane: StandardLane, text: str) -> tuple[list[str], Sequence[Sequence[Any]]]:
    """Types of the columns, and the rows."""
    settings = lakehouse_of(lane).trino().settings
    address = address_of(settings)
    session = Session()
    session.trust_env = False
    session.verify = str(settings.ca_file)
    connection = trino.dbapi.Connection(
        host=address.host,
        port=address.port,
        user=address.user,
        auth=address.auth(),
        http_scheme=address.scheme,
        http_session=session,
        timezone="UTC",
    )
    with session, closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute(text)
        rows = cursor.fetchall()
        return [one[1] for one in cursor.description], rows


@pytest.mark.parametrize("question", questions("trino"), ids=str)
def test_it_answers_with_rows(history: StandardLane, question: Question) -> None:
    """At least one, of types that the plugin knows, and a series in order of time."""
    types, rows = asked(history, sql(question.text, TRINO, VARIABLES, window()))
    assert rows, "no rows"
    assert all(one.startswith(KNOWN) for one in types), types
    if question.shape == TABLE:
        assert any(value is not None for value in rows[0])
        if question.panel == "stat":
            assert len(types) == 1
            assert types[0].startswith(NUMBERS)
        return
    assert types[0].startswith(("timestamp", "date")), f"the first column is {types[0]}"
    assert any(one.startswith(NUMBERS) for one in types[1:])
    times = [row[0] for row in rows]
    assert None not in times
    assert times == sorted(times)


def test_sample_values_are_what_the_panels_show(history: StandardLane) -> None:
    """Readings, devices and days are counted; late are the days before, and two of today."""
    found = {one.where: one.text for one in questions("trino") if one.board == "readings-history"}

    def value(where: str) -> Any:
        return asked(history, sql(found[where], TRINO, VARIABLES, window()))[1][0][0]

    assert value("Readings A") == 303
    assert value("Devices A") == 7
    assert value("Late A") == pytest.approx(204 / 303)
    assert value("Days without a reading A") == 0


def test_trino_exports_the_metrics_of_its_dashboard(history: StandardLane) -> None:
    """Under the names that Prometheus would store, with the quantiles that a panel picks."""
    settings = lakehouse_of(history).trino().settings
    address = address_of(settings)
    token = b64encode(f"{address.user}:{address.password}".encode()).decode()
    request = urllib.request.Request(
        f"{address.shown}/metrics", headers={"Authorization": f"Basic {token}"}
    )
    context = create_default_context(cafile=str(settings.ca_file))
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        text = answer.read().decode()
    exported = {line.split("{")[0].split(" ")[0] for line in text.splitlines()}
    used = metric_names("trino_", "trino")
    assert len(used) > 8
    renamed = {RENAMED.get(name, name) for name in used}
    assert renamed <= exported, f"not exported: {sorted(renamed - exported)}"
    assert 'ExecutionTime_FiveMinutes{quantile="0.95"' in text
