"""Dashboards: valid, on existing data sources, with queries that can be answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.platform.gate.model import Finding, Tree
from tests.platform.gate.observability import (
    SYNTHETIC,
    Dashboard,
    dashboards,
    listed_metrics,
    own_metrics,
    rules,
)
from tests.platform.gate.platform import Platform
from tests.platform.gate.promql import PromqlError, metrics
from tests.platform.gate.rules import rule

TABLE = re.compile(r"(?is)\b(?:from|join)\s+([\w.`\"$]+)")
COMMON_TABLE = re.compile(r"(?is)(?:\bwith|,)\s+(\w+)\s+as\s*\(")
METADATA = re.compile(r"\$(files|snapshots|partitions|manifests|history|refs|properties)$")
SYSTEM = {"system", "information_schema", "runtime"}


@rule
def dashboards_are_json_with_an_identity(platform: Platform) -> Iterator[Finding]:
    """Each has a uid of its own, a title, and panels with a title; nothing is fetched by number."""
    for profile in platform.profiles:
        seen: dict[str, str] = {}
        for found in dashboards(profile):
            if not isinstance(found.data, dict):
                yield _finding(found, "", "is no JSON object", "mend it")
                continue
            uid = str(found.data.get("uid", ""))
            if not uid or not found.data.get("title"):
                yield _finding(found, "uid, title", "are not both set", "set them")
            elif uid in seen:
                yield _finding(found, "uid", f"{uid} is that of {seen[uid]}", "choose another")
            seen[uid] = found.key
            if found.data.get("gnetId"):
                yield _finding(found, "gnetId", "points elsewhere", "remove it")
            for panel in found.panels():
                if not panel.get("title"):
                    yield _finding(found, f"panel {panel.get('id')}", "has no title", "name it")


@rule
def releases_fetch_no_dashboards(platform: Platform) -> Iterator[Finding]:
    """A dashboard fetched at run time changes without a commit."""
    for profile in platform.profiles:
        for release in profile.releases:
            if "gnetId" in repr(release.values):
                yield release.finding(
                    "values.dashboards",
                    "fetch by gnetId",
                    "add the JSON to observability/dashboards",
                )


@rule
def prometheus_queries_read_metrics_that_exist(platform: Platform) -> Iterator[Finding]:
    """An empty panel is worse than none."""
    listed = own_metrics() | listed_metrics(platform) | SYNTHETIC
    for profile in platform.profiles:
        known = listed | {str(one.data.get("record")) for one in rules(profile)}
        for found, panel, target in _targets(platform, profile.name):
            expression = target.get("expr")
            kind = (target.get("datasource") or panel.get("datasource") or {}).get("type")
            if not isinstance(expression, str) or kind == "loki":
                continue
            title = f"panel {panel.get('title')}"
            try:
                names = metrics(expression)
            except PromqlError as error:
                yield _finding(found, title, f"does not parse: {error}", "mend the expression")
                continue
            for name in sorted(names - known):
                yield _finding(
                    found, title, f"reads {name}, which nobody exports", "use a known metric"
                )


@rule
def queries_read_tables_that_exist(platform: Platform) -> Iterator[Finding]:
    """SQL of ClickHouse and Trino panels reads what the contract declares."""
    tables = set(platform.overview.get("tables") or [])
    for profile in platform.profiles:
        for found, panel, target in _targets(platform, profile.name):
            text = target.get("rawSql") or target.get("rawSQL") or target.get("sql")
            if not isinstance(text, str):
                continue
            own = {name.lower() for name in COMMON_TABLE.findall(text)}
            for written in TABLE.findall(text):
                parts = written.replace("`", "").replace('"', "").lower().split(".")
                last = METADATA.sub("", parts[-1])
                if last in own or set(parts[:-1]) & SYSTEM or parts[0].startswith("$"):
                    continue
                if last not in tables and "(" not in written:
                    yield _finding(
                        found,
                        f"panel {panel.get('title')}",
                        f"reads {written}, which the contract does not make",
                        f"use one of {sorted(tables)}",
                    )


@rule
def data_sources_exist(platform: Platform) -> Iterator[Finding]:
    """Each panel's data source is one that Grafana is given."""
    for profile in platform.profiles:
        release = profile.release("kube-prometheus-stack")
        if release is None:
            continue
        given = {"prometheus", "alertmanager", "grafana", "-- Grafana --", "-- Mixed --"}
        given |= {str(one.get("uid")) for one in release.get("grafana.additionalDataSources") or []}
        for found, panel, target in _targets(platform, profile.name):
            source = target.get("datasource") or panel.get("datasource") or {}
            uid = source.get("uid") if isinstance(source, dict) else None
            if uid and uid not in given and not str(uid).startswith("$"):
                left = (platform.overview.get("left_out") or {}).get(profile.name, [])
                if uid not in left:
                    yield _finding(
                        found,
                        f"panel {panel.get('title')}",
                        f"data source {uid} does not exist in profile {profile.name}",
                        f"use one of {sorted(given)}",
                    )


@rule
def the_promised_dashboards_are_there(platform: Platform) -> Iterator[Finding]:
    """Each subject of the overview has its dashboard."""
    for profile in platform.profiles:
        names = [found.key.lower() for found in dashboards(profile)]
        left = set((platform.overview.get("left_out") or {}).get(profile.name, []))
        for subject in platform.overview.get("dashboards") or []:
            if subject not in left and not any(subject in name for name in names):
                yield Finding(
                    "observability/dashboards",
                    subject,
                    f"no dashboard's file name holds {subject} in profile {profile.name}",
                    "add it",
                )


def _targets(platform: Platform, profile: str) -> Iterator[tuple[Dashboard, Tree, dict[str, Any]]]:
    for one in platform.profiles:
        if one.name != profile:
            continue
        for found in dashboards(one):
            if isinstance(found.data, dict):
                for panel in found.panels():
                    for target in panel.get("targets") or []:
                        if isinstance(target, dict):
                            yield found, panel, target


def _finding(found: Dashboard, field: str, wrong: str, mend: str) -> Finding:
    return Finding(found.resource.file, f"{found.key} {field}".strip(), wrong, mend)
