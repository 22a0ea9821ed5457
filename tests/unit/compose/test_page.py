"""docs/compose.md says of docker-compose.yml what is so."""

from __future__ import annotations

import re

import pytest

from tests.unit.compose.project import NEEDS, ROOT, SERVICES, is_job, memory

PAGE = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("profile", NEEDS)
def test_the_table_of_profiles_is_so(profile: str) -> None:
    """What each needs, and the sum of what runs all the time."""
    row = re.search(rf"^\| `{profile}` \|[^|]*\|([^|]*)\|([^|]*)\|$", PAGE, re.MULTILINE)
    assert row is not None
    assert set(row[1].strip(" `").split()) == NEEDS[profile] - {profile}
    chosen = [one for one in SERVICES.values() if profile in one["profiles"] and not is_job(one)]
    said = float(row[2].removesuffix(" GiB "))
    assert abs(said - sum(memory(one) for one in chosen) / 2**30) < 0.06


def test_the_pages_are_published() -> None:
    """Every address of the page is one that a container listens on."""
    ports = {str(port).split(":")[1] for one in SERVICES.values() for port in one.get("ports", [])}
    said = set(re.findall(r"://127\.0\.0\.1:(\d+)", PAGE))
    assert len(said) > 5
    assert said <= ports


def test_the_variables_of_the_page_exist() -> None:
    """Every password that the page names is one of the files'."""
    used = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "compose").glob("*.yml"))
    named = set(re.findall(r"`(\w+_PASSWORD)`", PAGE))
    assert named
    assert all(f"${{{name}:?" in used for name in named)
