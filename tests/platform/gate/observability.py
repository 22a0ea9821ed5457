"""Alerts, dashboards and known metrics, gathered from the manifests and lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.platform.gate.model import Resource, Tree, dig, nodes
from tests.platform.gate.platform import Platform, Profile

REPOSITORY = Path(__file__).resolve().parents[3]
METRICS_FILE = "observability/metrics.yaml"
_ROW = re.compile(r"^\| `([a-z_:0-9]+)` \| (\w+) \|", re.MULTILINE)
_PARTS = ("_bucket", "_sum", "_count")
# Prometheus makes these itself.
SYNTHETIC = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "ALERTS",
    "ALERTS_FOR_STATE",
}


@dataclass(frozen=True)
class Rule:
    """One alerting or recording rule."""

    resource: Resource
    field: str
    data: Tree

    @property
    def alert(self) -> str:
        """The alert's name; empty for a recording rule."""
        return str(self.data.get("alert", ""))

    @property
    def expression(self) -> str:
        """Its PromQL."""
        return str(self.data.get("expr", ""))


def rules(profile: Profile) -> Iterator[Rule]:
    """Every rule of every PrometheusRule."""
    for resource in profile.of("PrometheusRule"):
        for group in resource.get("spec.groups") or []:
            for entry in group.get("rules") or []:
                name = entry.get("alert") or entry.get("record")
                yield Rule(resource, f"{group.get('name')}.{name}", entry)


@dataclass(frozen=True)
class Dashboard:
    """One dashboard in a ConfigMap."""

    resource: Resource
    key: str
    data: Any

    def panels(self) -> Iterator[Tree]:
        """Its panels, those inside of rows too."""
        for _, node in nodes(self.data):
            if "type" in node and ("targets" in node or "fieldConfig" in node):
                yield node


def dashboards(profile: Profile) -> Iterator[Dashboard]:
    """Dashboards that Grafana's sidecar finds; unreadable JSON gives data None."""
    for resource in profile.of("ConfigMap"):
        if resource.labels.get("grafana_dashboard") != "1":
            continue
        for key, text in (resource.data.get("data") or {}).items():
            if not key.endswith(".json"):
                continue
            try:
                yield Dashboard(resource, key, json.loads(text))
            except json.JSONDecodeError:
                yield Dashboard(resource, key, None)


@cache
def own_metrics() -> frozenset[str]:
    """Metrics of the writers as docs/metrics.md names them."""
    names: set[str] = set()
    for name, kind in _ROW.findall((REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")):
        names.add(name)
        if kind == "histogram":
            names |= {name + part for part in _PARTS}
    return frozenset(names)


def listed_metrics(platform: Platform) -> set[str]:
    """Every metric name in observability/metrics.yaml, whatever exporter it is under."""
    names: set[str] = set()
    for document in platform.sources.of(METRICS_FILE):
        for _, node in nodes(document.data):
            for value in node.values():
                if isinstance(value, list):
                    names |= {item for item in value if isinstance(item, str)}
        for exporter in (document.data.get("exporters") or {}).values():
            metrics = dig(exporter, "metrics", default={})
            if isinstance(metrics, dict):
                names |= set(metrics)
    return names
