"""A must-fail case: the sound sample tree with one thing planted, and what the gate must say."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.platform.gate import schemas
from tests.platform.gate.model import Finding
from tests.platform.gate.platform import Platform, load
from tests.platform.gate.rules import check

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures"
SOUND = FIXTURES / "sound"


@dataclass(frozen=True)
class Case:
    """Edits of the sound tree and the findings that they must lead to.

    An edit replaces `find` by `put` in `file`, or appends `add`, or writes the whole `file` from
    `text`, or removes it with `delete: true`.
    """

    path: Path
    why: str
    edits: list[dict[str, Any]]
    expect: list[str]
    needs_schemas: bool

    @property
    def name(self) -> str:
        """Family and name, as the test is called."""
        return self.path.relative_to(FIXTURES).with_suffix("").as_posix()

    def expected(self) -> list[str]:
        """What the gate must say here: without schemas, only what needs none."""
        if not self.needs_schemas or schemas.folder() is not None:
            return self.expect
        by_schema = ("(schemas.values_", "(schemas.resources_")
        return [text for text in self.expect if not any(rule in text for rule in by_schema)]

    def plant(self, folder: Path) -> Path:
        """The sample tree with the edits, in a folder called platform."""
        root = folder / "platform"
        shutil.copytree(SOUND, root)
        for edit in self.edits:
            _apply(root / edit["file"], edit)
        return root


def _apply(path: Path, edit: dict[str, Any]) -> None:
    if edit.get("delete"):
        path.unlink()
        return
    if "text" in edit:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edit["text"], encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    if "add" in edit:
        path.write_text(text.rstrip("\n") + "\n" + edit["add"], encoding="utf-8")
        return
    assert edit["find"] in text, f"{path.name} does not hold {edit['find']!r}"
    path.write_text(text.replace(edit["find"], edit["put"], 1), encoding="utf-8")


def cases(family: str = "*") -> list[Case]:
    """Every case in tests/platform/fixtures."""
    found = []
    for path in sorted(FIXTURES.glob(f"{family}/*.yaml")):
        if path.is_relative_to(SOUND):
            continue
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        expect = data["expect"]
        found.append(
            Case(
                path,
                data["why"],
                data["edits"],
                expect if isinstance(expect, list) else [expect],
                bool(data.get("needs_schemas")),
            )
        )
    return found


def sample(root: Path) -> Platform:
    """A tree loaded with the sample's own overview."""
    return load(root, overview=FIXTURES / "overview.yaml", charts=HERE / "charts.yaml")


def findings(root: Path) -> list[Finding]:
    """What the gate says about a sample tree."""
    return check(sample(root))
