"""The first architecture overview's figures and endpoints, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.platform.gate import sources
from tests.platform.gate.model import Finding, Tree
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule
from tests.platform.gate.substitution import SubstitutionError, substitute


@rule
def every_figure_is_met(platform: Platform) -> Iterator[Finding]:
    """tests/platform/overview.yaml says what is expected where; differing rows name their ADR."""
    for profile in platform.profiles:
        for section in ("figures", "endpoints"):
            for row in platform.overview.get(section) or []:
                if profile.name not in row.get("profiles", [profile.name]):
                    continue
                for expected in row.get("expect") or []:
                    yield from _compared(platform, profile, row, expected)


@rule
def every_difference_is_decided(platform: Platform) -> Iterator[Finding]:
    """A row that differs from the overview names an ADR that is there."""
    for section in ("figures", "endpoints"):
        for row in platform.overview.get(section) or []:
            adr = row.get("differs")
            if adr and not list(platform.root.glob(str(adr))):
                yield Finding(str(adr), row["name"], "does not exist", "write the decision")


def _compared(platform: Platform, profile: Profile, row: Tree, expected: Tree) -> Iterator[Finding]:
    wanted = [_settled(one, profile) for one in _listed(expected["value"])]
    file, places = _places(platform, profile, expected)
    field = f"{row['name']}: {expected['path']}"
    if not places:
        yield Finding(
            file, field, f"is nowhere in profile {profile.name}", f"it must be {_shown(wanted)}"
        )
        return
    values = [value for place in places for value in select(place, expected["path"])]
    for one in wanted:
        if not any(_equal(value, one) for value in values):
            shown = _shown(values) if values else "not set"
            yield Finding(
                file,
                field,
                f"is {shown} in profile {profile.name}",
                f"the overview says {one!r}; a difference needs an ADR and its row there",
            )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _settled(value: Any, profile: Profile) -> Any:
    """An expected value may name a setting, as manifests do."""
    try:
        return substitute(value, profile.settings) if isinstance(value, str) else value
    except SubstitutionError:
        return value


def _places(platform: Platform, profile: Profile, expected: Tree) -> tuple[str, list[Any]]:
    if "release" in expected:
        release = profile.release(expected["release"])
        return (release.file, [release.values]) if release else (expected["release"], [])
    if "file" in expected:
        text = platform.text(expected["file"])
        return expected["file"], sources.parse(text) if text else []
    found = [
        one
        for one in profile.of(expected["kind"])
        if expected.get("namespace", one.namespace) == one.namespace
        and expected.get("name", one.name) == one.name
    ]
    title = f"{expected['kind']} {expected.get('namespace', '')}/{expected.get('name', '*')}"
    return (found[0].file if found else title), [one.data for one in found]


_STEP = re.compile(r"([^.\[\]]+|\[\])")


def select(tree: Any, path: str) -> list[Any]:
    r"""All values at a path; `[]` goes into every element of a list, \\. is a dot in a key."""
    steps = [step.replace("\0", ".") for step in _STEP.findall(path.replace("\\.", "\0"))]
    found = [tree]
    for step in steps:
        if step == "[]":
            found = [item for one in found if isinstance(one, list) for item in one]
        else:
            found = [one[step] for one in found if isinstance(one, dict) and step in one]
    return found


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and wanted.startswith("~"):
        return re.search(wanted[1:], str(value), re.MULTILINE) is not None
    return str(value) == str(wanted)


def _shown(values: list[Any]) -> str:
    texts = [str(value) for value in values]
    line = ", ".join(texts)
    return line if len(line) < 120 else f"{line[:117]}..."
