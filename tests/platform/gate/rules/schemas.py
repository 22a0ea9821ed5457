"""Every resource against its schema, every chart's values against its key paths, no old API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema

from tests.platform.gate import schemas
from tests.platform.gate.helm import Release
from tests.platform.gate.model import Finding, Resource, Tree
from tests.platform.gate.platform import Platform
from tests.platform.gate.rules import rule

BUILT_IN = re.compile(r"^(|apps|batch|autoscaling|policy|[a-z0-9.-]+\.k8s\.io)$")
# Custom resources that wear a k8s.io group.
FOREIGN = {"externaldns.k8s.io"}
# What the releases in versions.yaml have dropped or announced to drop.
OLD = {
    "source.toolkit.fluxcd.io/v1beta1": "v1",
    "source.toolkit.fluxcd.io/v1beta2": "v1",
    "kustomize.toolkit.fluxcd.io/v1beta2": "v1",
    "helm.toolkit.fluxcd.io/v2beta1": "v2",
    "helm.toolkit.fluxcd.io/v2beta2": "v2",
    "notification.toolkit.fluxcd.io/v1beta2": "v1beta3",
    "longhorn.io/v1beta1": "v1beta2",
    "policy/v1beta1": "v1",
    "batch/v1beta1": "v1",
    "networking.k8s.io/v1beta1": "v1",
    "jetstream.nats.io/v1beta1": "v1beta2",
    "cert-manager.io/v1alpha2": "v1",
}
# Read by the name helpers that `helm create` writes, even where values.yaml does not list them.
HELPERS = {"nameOverride", "fullnameOverride"}
# Handed to Kubernetes as they are, whatever part of them the default shows.
NATIVE = re.compile(
    r"(^|\.)(resources|limits|requests|\w*[sS]ecurityContext|\w*[aA]nnotations|\w*[lL]abels|"
    r"nodeSelector|affinity|\w*[pP]robe|strategy|updateStrategy)$"
)
SUBCHARTS = {
    "kube-prometheus-stack": {
        "grafana": "grafana",
        "kube-state-metrics": "kube-state-metrics",
        "prometheus-node-exporter": "prometheus-node-exporter",
    }
}


@rule
def api_versions_are_served(platform: Platform) -> Iterator[Finding]:
    """An API that its controller has dropped stops the whole Kustomization."""
    for profile in platform.profiles:
        for found in profile.resources:
            if found.api_version in OLD:
                yield found.finding(
                    "apiVersion",
                    f"{found.api_version} is gone",
                    f"use {found.group}/{OLD[found.api_version]}",
                )


@cache
def _validator(group: str, kind: str, version: str) -> Any:
    schema = schemas.custom_resource(group, kind, version)
    return None if schema is None else jsonschema.Draft7Validator(schema)


@rule
def resources_fit_their_schema(platform: Platform) -> Iterator[Finding]:
    """Built-in kinds at the version of k3s, custom ones where their schema is at hand."""
    for profile in platform.profiles:
        for found in profile.resources:
            if BUILT_IN.match(found.group) and found.group not in FOREIGN:
                yield from _built_in(found)
            elif (schemas.folder()) is not None:
                yield from _custom(found)


_verdicts: dict[str, list[tuple[str, str]]] = {}


def _built_in(found: Resource) -> Iterator[Finding]:
    key = repr(found.data)
    if key not in _verdicts:
        _verdicts[key] = _errors(found)
    for path, wrong in _verdicts[key]:
        yield found.finding(path, wrong, f"see the API of Kubernetes {schemas.KUBERNETES}")


def _errors(found: Resource) -> list[tuple[str, str]]:
    validator = schemas.built_in(found.api_version, found.kind)
    if validator is None:
        return [("apiVersion", f"{found.api_version} {found.kind} does not exist")]
    return [
        (".".join(str(part) for part in error.absolute_path), _short(error.message))
        for error in validator.iter_errors(found.data)
    ]


def _custom(found: Resource) -> Iterator[Finding]:
    version = found.api_version.rpartition("/")[2]
    validator = _validator(found.group, found.kind, version)
    if validator is None:
        known = schemas.folder()
        if known is not None and (known / "crd" / found.group).is_dir():
            yield found.finding(
                "apiVersion", f"{found.api_version} {found.kind} is unknown", "mend kind or version"
            )
        return
    for error in validator.iter_errors(found.data):
        path = ".".join(str(part) for part in error.absolute_path)
        yield found.finding(path, _short(error.message), f"see the schema of {found.group}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) < 200 else f"{line[:197]}..."


@rule
def values_are_keys_of_the_chart(platform: Platform) -> Iterator[Finding]:
    """Helm ignores what it does not know: a mistyped or dropped key does nothing, silently."""
    for profile in platform.profiles:
        for release in profile.releases:
            keys = _keys(platform, release.chart)
            if keys is not None:
                yield from _unknown(platform, release, release.values, "", keys, release.chart)


def _keys(platform: Platform, chart: str) -> dict[str, str] | None:
    """Key paths of a chart, with those that only comments and templates of it show."""
    keys = schemas.chart_keys(chart)
    if keys is None:
        return None
    shown = dict.fromkeys(platform.charts["commented_keys"].get(chart, []), "null*")
    whole = dict.fromkeys(platform.charts["open_maps"].get(chart, []), "map*")
    return {**keys, **shown, **whole}


def _unknown(
    platform: Platform, release: Release, tree: Tree, path: str, keys: dict[str, str], chart: str
) -> Iterator[Finding]:
    for key, value in tree.items():
        here = f"{path}.{key}".lstrip(".")
        sub = SUBCHARTS.get(chart, {}).get(here)
        if sub is not None and isinstance(value, dict):
            prefix = f"{here}."
            own = {k.removeprefix(prefix): v for k, v in keys.items() if k.startswith(prefix)}
            below = {**(_keys(platform, sub) or {}), **own}
            yield from _unknown(platform, release, value, "", below, sub)
            continue
        kind = keys.get(here)
        if kind is None:
            if here.split(".")[0] != "global" and here not in HELPERS:
                yield release.finding(
                    f"values.{here}",
                    f"is no key of the chart {schemas.chart_of_keys(chart)}",
                    "remove it, or find its present name in the chart's values.yaml",
                )
        elif kind == "map" and NATIVE.search(here):
            continue
        elif kind == "map" and isinstance(value, dict):
            yield from _unknown(platform, release, value, here, keys, chart)
        elif kind == "map" and value is not None:
            yield release.finding(f"values.{here}", "is a map in the chart", "give it a map")
        elif kind in {"bool", "int"} and isinstance(value, dict | list):
            yield release.finding(
                f"values.{here}", f"is of type {kind} in the chart", "give it one value"
            )
