"""A line of log leads to its trace and a span to its lines, in compose as in the cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.unit.dashboards.boards import ROOT, Tree
from tests.unit.dashboards.macros import VERSIONS
from tests.unit.dashboards.sources import RELEASE, of_compose, of_platform, read_by_grafana

ALLOY = [ROOT / "compose/alloy/config.alloy", ROOT / "platform/observability/alloy/config.alloy"]
BOTH = pytest.mark.parametrize("sources", [of_compose(), of_platform()], ids=["compose", "cluster"])


@BOTH
def test_a_line_leads_to_its_trace(sources: dict[str, Tree]) -> None:
    """The link asks Jaeger for what the pattern matched, which Grafana alone knows."""
    (field,) = sources["loki"]["jsonData"]["derivedFields"]
    assert field["datasourceUid"] == "jaeger"
    assert sources["jaeger"]["type"] == "jaeger"
    assert field["url"] == "${__value.raw}"
    assert re.compile(field["matcherRegex"]).groups == 1


@BOTH
def test_a_span_leads_to_its_lines(sources: dict[str, Tree]) -> None:
    """By the writer's service, which is the label `app`, and by the trace's id."""
    link = sources["jaeger"]["jsonData"]["tracesToLogsV2"]
    assert link["datasourceUid"] == "loki"
    assert link["filterByTraceID"] is True
    assert link["tags"] == [{"key": "service.name", "value": "app"}]


def test_both_ways_are_the_same_everywhere() -> None:
    """Who knows one knows the other."""
    ours, theirs = of_compose(), of_platform()
    for uid in ("loki", "jaeger"):
        assert ours[uid]["jsonData"] == theirs[uid]["jsonData"]


def test_the_plugins_are_those_whose_macros_are_known() -> None:
    """In compose as in the cluster: with another version, look at its macros first."""
    wanted = {f"{name}@{version}" for name, version in VERSIONS.items()}
    values = yaml.safe_load(RELEASE.read_text(encoding="utf-8"))["spec"]["values"]
    assert set(values["grafana"]["plugins"]) == wanted
    composed = yaml.safe_load((ROOT / "compose/observability.yml").read_text(encoding="utf-8"))
    environment = composed["services"]["grafana"]["environment"]
    assert set(environment["GF_PLUGINS_PREINSTALL_SYNC"].split(",")) == wanted


def test_grafana_keeps_one_of_two_dollars() -> None:
    """And puts what is not doubled in from its environment, where it is nothing if not set."""
    assert read_by_grafana("$${a.b} $A ${A} $B", {"A": "x"}) == "${a.b} x x "


def test_the_writers_names_are_labels() -> None:
    """`service.name` of a span is the service in compose and the pod's name in the cluster."""
    for path in ("hot", "lake"):
        name = f"ingest-{path}"
        file = ROOT / f"platform/apps/ingest/writers/lane-{path}.yaml"
        (pods,) = [
            one["spec"]["template"]["metadata"]["labels"]
            for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))
            if one["kind"] == "StatefulSet"
        ]
        assert pods["app.kubernetes.io/name"] == name
        composed = ROOT / "compose" / ("core.yml" if path == "hot" else "lake.yml")
        assert name in yaml.safe_load(composed.read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize("file", ALLOY, ids=["compose", "cluster"])
def test_few_labels_and_never_an_id(file: Path) -> None:
    """A label with many values splits every stream: ids stay in the line."""
    text = file.read_text(encoding="utf-8")
    labels = {
        name
        for block in re.findall(r"stage\.labels \{\s*values = \{([^}]*)\}", text)
        for name in re.findall(r"(\w+)\s*=", block)
    }
    labels |= set(re.findall(r'target_label\s*=\s*"(\w+)"', text))
    assert {"app", "namespace", "level"} <= labels
    assert labels <= {"app", "namespace", "pod", "container", "level", "lane"}
