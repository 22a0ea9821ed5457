"""Real lines of the writers lead to the traces that they sent, and have what Alloy takes."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest

from tests.integration.dashboards.standard import StandardLane
from tests.support.collector import Collector
from tests.support.waiting import until
from tests.unit.dashboards.boards import ROOT
from tests.unit.dashboards.sources import of_compose, of_platform

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


def lines(pipeline: StandardLane) -> list[str]:
    """What both writers wrote."""
    return [
        line
        for writer in pipeline.writers
        for line in writer.log.read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize("sources", [of_compose(), of_platform()], ids=["compose", "cluster"])
def test_a_batchs_line_leads_to_its_trace(
    pipeline: StandardLane, collector: Collector, sources: dict[str, dict[str, object]]
) -> None:
    """The pattern finds in each line of a batch a trace that arrived, and nothing in the others."""
    loki = sources["loki"]["jsonData"]
    assert isinstance(loki, dict)
    pattern = re.compile(loki["derivedFields"][0]["matcherRegex"])
    batches = 0
    for line in lines(pipeline):
        found = pattern.search(line)
        if json.loads(line)["event"] in ("batch", "commit"):
            assert found is not None, line
            expect_trace(collector, found[1])
            batches += 1
        else:
            assert found is None or json.loads(line)["trace_id"] == found[1]
    assert batches >= 2


def expect_trace(collector: Collector, trace_id: str) -> None:
    """It arrives at the collector; spans leave after the line was written."""
    until(
        lambda: any(trace[0].trace_id == trace_id for trace in collector.traces()),
        f"trace {trace_id} at the collector",
    )


def test_lines_have_what_alloy_takes(pipeline: StandardLane) -> None:
    """Each is JSON with a level and a time; a batch's has its lane."""
    config = (ROOT / "compose/alloy/config.alloy").read_text(encoding="utf-8")
    taken = re.search(r"stage\.json \{\s*expressions = \{([^}]*)\}", config)
    assert taken is not None
    fields = set(re.findall(r'= "(\w+)"', taken[1]))
    assert fields == {"level", "lane", "timestamp"}
    batches = 0
    for line in lines(pipeline):
        said = json.loads(line)
        assert said["level"] in ("debug", "info", "warning", "error", "critical")
        assert RFC3339.fullmatch(said["timestamp"]), said["timestamp"]
        assert datetime.fromisoformat(said["timestamp"]).tzinfo is not None
        if said["event"] in ("batch", "commit"):
            assert said["lane"] == "READINGS"
            batches += 1
    assert batches >= 2
