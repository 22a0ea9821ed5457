"""The platform of this repository passes its gate, and its generated page is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.platform.components import FILE, PLATFORM, page
from tests.platform.gate.platform import Platform, load
from tests.platform.gate.rules import check

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def platform() -> Platform:
    """The real tree, loaded once."""
    return load(PLATFORM, overview=HERE / "overview.yaml", charts=HERE / "charts.yaml")


@pytest.mark.timeout(300)
def test_the_gate_finds_nothing(platform: Platform) -> None:
    """What is merged is sound."""
    assert [str(one) for one in check(platform)] == []


def test_every_row_of_the_overview_is_answered(platform: Platform) -> None:
    """A row of the endpoint table is expected somewhere, or differs by a decision."""
    rows = platform.overview["endpoints"]

    assert len(rows) >= 18
    assert [row["name"] for row in rows if not row.get("expect")] == []


def test_the_components_page_is_up_to_date(platform: Platform) -> None:
    """`make platform-docs` was run after the last change."""
    assert (PLATFORM / FILE).read_text(encoding="utf-8") == page(platform)


def test_both_profiles_hold_our_workloads(platform: Platform) -> None:
    """Small or large, a cluster runs both paths and the maintenance."""
    for profile in platform.profiles:
        names = {one.name for one in profile.of("StatefulSet", "Deployment")}
        assert {"ingest-hot", "ingest-lake"} <= names
