"""Each rule lets the sound sample pass and names what is planted in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.platform.case import SOUND, Case, cases, findings
from tests.platform.gate.rules import all_rules

NO_PROMTOOL = "promtool is not installed; scripts/platform_tools.sh installs it on Debian"
NO_SCHEMAS = "the schemas of custom resources and charts are not here; set PLATFORM_SCHEMAS"


def test_the_sound_sample_has_no_findings() -> None:
    """A tree without mistakes is not complained about."""
    assert [str(one) for one in findings(SOUND)] == []


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_planted_mistake_is_named(case: Case, tmp_path: Path) -> None:
    """The gate says what the case expects, and nothing that it does not."""
    if "(promtool." in "".join(case.expect) and shutil.which("promtool") is None:
        pytest.skip(NO_PROMTOOL)
    expect = case.expected()
    if not expect:
        pytest.skip(NO_SCHEMAS)

    said = [str(one) for one in findings(case.plant(tmp_path))]

    assert [text for text in expect if not any(text in line for line in said)] == [], said
    assert [line for line in said if not any(text in line for text in expect)] == []


def test_there_are_enough_cases() -> None:
    """At least sixty mistakes are planted, and most families of rules have some."""
    every = cases()
    families = {name.split(".")[0] for name in all_rules()}

    assert len(every) >= 60
    assert families - {case.name.split("/")[0] for case in every} == set()


def test_every_rule_is_broken_by_some_case() -> None:
    """A rule that no case breaks may as well never fire."""
    expected = "\n".join(text for case in cases() for text in case.expect)

    assert [name for name in all_rules() if f"({name})" not in expected] == []
