"""docker-compose.yml as one tree, without Docker: included files and merge keys resolved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
Tree = dict[str, Any]

NEEDS = {
    "core": {"core"},
    "lake": {"core", "lake"},
    "orchestration": {"core", "lake", "orchestration"},
    "observability": {"core", "observability"},
}
"""The profiles that must be on for each of them, as docs/compose.md says."""


def load(name: str) -> Tree:
    """A YAML file of the repository."""
    found: Tree = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def _project() -> Tree:
    top = load("docker-compose.yml")
    services: Tree = {}
    volumes: Tree = {}
    for one in top["include"]:
        assert one["project_directory"] == "."
        part = load(one["path"])
        assert not services.keys() & part["services"].keys()
        services |= part["services"]
        assert not volumes.keys() & part["volumes"].keys()
        volumes |= part["volumes"]
    return {"services": services, "volumes": volumes}


PROJECT = _project()
SERVICES: dict[str, Tree] = PROJECT["services"]
TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in [ROOT / "docker-compose.yml", *sorted((ROOT / "compose").glob("*.yml"))]
}


def memory(service: Tree) -> int:
    """The memory limit in bytes."""
    text = str(service["mem_limit"])
    return int(text[:-1]) << {"m": 20, "g": 30}[text[-1]]


def is_job(service: Tree) -> bool:
    """Whether it ends by itself when its work is done."""
    return str(service["restart"]).startswith("on-failure")


def mounts(service: Tree) -> list[tuple[str, str]]:
    """Source and target of each volume and bound file."""
    return [(one.split(":")[0], one.split(":")[1]) for one in service.get("volumes", [])]
