"""Grafana's data sources once their files are read, in compose and in the cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.platform.gate.substitution import substitute
from tests.unit.dashboards.boards import ROOT, Tree

RELEASE = ROOT / "platform/observability/monitoring/release.yaml"
COMPOSE = ROOT / "compose/grafana/data-sources.yaml"
_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def read_by_grafana(written: Any, environment: Mapping[str, str]) -> Any:
    """A value of a provisioning file: variables of the environment put in, ``$$`` made ``$``."""
    if isinstance(written, dict):
        return {key: read_by_grafana(value, environment) for key, value in written.items()}
    if isinstance(written, list):
        return [read_by_grafana(value, environment) for value in written]
    if not isinstance(written, str):
        return written

    def value(found: re.Match[str]) -> str:
        return environment.get(found[1] or found[2], "")

    return "$".join(_REFERENCE.sub(value, part) for part in written.split("$$"))


def of_compose() -> dict[str, Tree]:
    """By uid."""
    text = COMPOSE.read_text(encoding="utf-8")
    found = yaml.safe_load(text)["datasources"]
    return {one["uid"]: read_by_grafana(one, {}) for one in found}


def of_platform() -> dict[str, Tree]:
    """By uid, after Flux has put in its settings."""
    grafana = yaml.safe_load(RELEASE.read_text(encoding="utf-8"))["spec"]["values"]["grafana"]
    environment = {name: substitute(value, {}) for name, value in grafana["env"].items()}
    found = grafana["additionalDataSources"]
    return {one["uid"]: read_by_grafana(one, environment) for one in found}
