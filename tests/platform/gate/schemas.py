"""Where the schemas of custom resources and the charts' key paths are found.

They are data of other projects, so they are not kept here: PLATFORM_SCHEMAS names a folder with
``crd/<group>/<kind>_<version>.json`` and ``values/<chart>.json``.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

KUBERNETES = "1.36"
SIBLING = Path(__file__).resolve().parents[4] / "shared" / "platform"


@cache
def folder() -> Path | None:
    """The folder with schemas, if there is one."""
    named = os.environ.get("PLATFORM_SCHEMAS")
    path = Path(named) if named else SIBLING
    return path if (path / "crd").is_dir() else None


@cache
def built_in(api_version: str, kind: str) -> Any:
    """The strict validator of a built-in kind at the version of k3s; None when there is none."""
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    path = kubernetes() / f"{kind.lower()}-{short}.json"
    if not path.is_file():
        return None
    registry: Any = Resource.from_contents(_json(path)) @ Registry()
    registry = _definitions() @ registry
    return jsonschema.Draft202012Validator(_json(path), registry=registry)


@cache
def kubernetes() -> Path:
    """The schemas that the package kubernetes-validate carries."""
    spec = find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise RuntimeError("kubernetes-validate is not installed; `make setup` brings it")
    return Path(spec.origin).parent / f"kubernetes-json-schema/v{KUBERNETES}.0-local-strict"


@cache
def _definitions() -> Any:
    return Resource.from_contents(_json(kubernetes() / "_definitions.json"))


@cache
def custom_resource(group: str, kind: str, version: str) -> dict[str, Any] | None:
    """The JSON schema of a custom resource; None when it is not known."""
    base = folder()
    if base is None:
        return None
    path = base / "crd" / group / f"{kind.lower()}_{version}.json"
    return _json(path) if path.is_file() else None


@cache
def chart_keys(chart: str) -> dict[str, str] | None:
    """Legal key paths of a chart's values with their types."""
    base = folder()
    if base is None:
        return None
    path = base / "values" / f"{chart}.json"
    return dict(_json(path)["keys"]) if path.is_file() else None


@cache
def chart_of_keys(chart: str) -> str:
    """name@version of the chart that the key paths were taken from."""
    base = folder()
    path = base / "values" / f"{chart}.json" if base else None
    return str(_json(path)["chart"]) if path and path.is_file() else ""


def _json(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded
