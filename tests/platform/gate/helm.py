"""Helm releases: Flux's and the Helmfile's in one shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.platform.gate.model import Finding, Resource, Tree, dig

_TEMPLATE = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_SETTING = re.compile(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)\b")


@dataclass(frozen=True)
class Release:
    """One release of a chart with its values."""

    name: str
    namespace: str
    chart: str
    version: str
    repository: str
    values: Tree
    file: str
    owner: str

    @property
    def is_local(self) -> bool:
        """True for a chart of ours that lies beside the Helmfile."""
        return self.repository.startswith(".")

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a dotted path."""
        return dig(self.values, *path.split("."), default=default)

    def finding(self, field: str, wrong: str, mend: str) -> Finding:
        """A finding about one of the values."""
        return Finding(self.file, f"HelmRelease {self.name} {field}".strip(), wrong, mend)


def release_of(found: Resource, resources: Iterable[Resource]) -> Release:
    """A HelmRelease with its source resolved."""
    by_name = {
        (other.kind, other.namespace, other.name): other
        for other in resources
        if other.kind in {"HelmRepository", "OCIRepository", "ConfigMap"}
    }
    chart = found.get("spec.chart.spec", {})
    reference = found.get("spec.chartRef") or chart.get("sourceRef") or {}
    namespace = str(reference.get("namespace", found.namespace))
    source = by_name.get((str(reference.get("kind")), namespace, str(reference.get("name"))))
    url = str(source.get("spec.url", "")) if source else ""
    oci = source is not None and source.kind == "OCIRepository"
    return Release(
        name=found.name,
        namespace=str(found.get("spec.targetNamespace", found.namespace)),
        chart=url.rsplit("/", 1)[-1] if oci else str(chart.get("chart", "")),
        version=str(source.get("spec.ref.tag", "")) if source and oci else _text(chart, "version"),
        repository=url,
        values=_values(found, by_name),
        file=found.file,
        owner=found.owner,
    )


def _text(tree: Mapping[str, Any], key: str) -> str:
    return str(tree.get(key, ""))


def _values(found: Resource, by_name: Mapping[tuple[str, str, str], Resource]) -> Tree:
    merged: Tree = {}
    for source in found.get("spec.valuesFrom") or []:
        kept = by_name.get((str(source.get("kind")), found.namespace, str(source.get("name"))))
        text = dig(kept.data, "data", source.get("valuesKey", "values.yaml")) if kept else None
        if isinstance(text, str):
            merged = _merged(merged, yaml.safe_load(text) or {})
    return _merged(merged, found.get("spec.values", {}))


def _merged(under: Tree, over: Tree) -> Tree:
    result = dict(under)
    for key, value in over.items():
        before = result.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[key] = _merged(before, value) if both and before is not None else value
    return result


def rendered(text: str, settings: Mapping[str, str]) -> str:
    """A Go template with the settings that it names; control lines disappear.

    No template engine: the Helmfile may only look settings up, and this is what is left then.
    """

    def value(found: re.Match[str]) -> str:
        inside = found.group(1)
        named = [key for key in _SETTING.findall(inside) if key in settings]
        if named:
            return settings[named[-1]]
        if re.match(r"\s*(if|end|else|range|with|define|/\*|\$\w+\s*:?=)", inside):
            return ""
        return "templated"

    return _TEMPLATE.sub(value, text)


def helmfile_releases(
    root: Path, settings: Mapping[str, str], profile: str
) -> tuple[list[Release], list[Finding]]:
    """The releases of minio/helmfile.yaml.gotmpl with their values files."""
    path = next(iter(sorted(root.glob("minio/helmfile.yaml*"))), None)
    if path is None:
        return [], []
    file = path.relative_to(root).as_posix()
    try:
        parts = list(yaml.safe_load_all(rendered(path.read_text(encoding="utf-8"), settings)))
        tree: Tree = {}
        for part in parts:
            tree.update(part or {})
        repositories = {found["name"]: found["url"] for found in tree.get("repositories") or []}
        found = [
            _helmfile_release(root, path, item, repositories, settings)
            for item in tree.get("releases") or []
        ]
    except (yaml.YAMLError, KeyError, AttributeError, TypeError) as error:
        wrong = f"not understood for profile {profile}: {' '.join(str(error).split())}"
        return [], [
            Finding(file, "", wrong, "look settings up only, without other logic", "helmfile")
        ]
    return found, []


def _helmfile_release(
    root: Path,
    path: Path,
    item: Tree,
    repositories: Mapping[str, str],
    settings: Mapping[str, str],
) -> Release:
    merged: Tree = {}
    file = path
    for value in item.get("values") or []:
        if isinstance(value, dict):
            merged = _merged(merged, value)
            continue
        file = path.parent / str(value)
        if file.is_file():
            text = rendered(file.read_text(encoding="utf-8"), settings)
            merged = _merged(merged, yaml.safe_load(text) or {})
    alias, _, chart = str(item["chart"]).rpartition("/")
    return Release(
        name=str(item["name"]),
        namespace=str(item.get("namespace", "")),
        chart=f"minio-{chart}" if chart in {"operator", "tenant"} else chart,
        version=str(item.get("version", "")),
        repository=repositories.get(alias, alias),
        values=merged,
        file=file.relative_to(root).as_posix(),
        owner="helmfile",
    )
