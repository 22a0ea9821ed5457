"""The pinned versions: complete, exact, and free of anything but versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINES = [
    line
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
NAME = r"[a-z0-9][a-z0-9-]*"


def test_every_line_is_one_exact_version() -> None:
    """No index, no host, no range: a name, one version, and at most a marker."""
    wrong = [x for x in LINES if not re.fullmatch(rf"{NAME}==[0-9][\w.]*( ; [\w. '<>=!]+)?", x)]

    assert wrong == []


def test_every_requirement_is_pinned() -> None:
    """Each package that the project asks for, and its build back end, has a version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
        *project["build-system"]["requires"],
    ]

    names = {re.split(r"[\[;<>=! ]", one, maxsplit=1)[0].lower() for one in asked}
    assert names - {line.split("==")[0] for line in LINES} == set()
