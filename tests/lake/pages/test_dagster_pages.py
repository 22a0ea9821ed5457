"""Dagster's pages as a person sees them: the graph, a figure's plot, a picture, a check."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as NotSeen

from pipelines.defs.stream.dead_letters import report_key
from pipelines.scope import Scope
from tests.support.browser import browser_page
from tests.support.dagster_dev import DagsterDev
from tests.support.lakehouse import scope_of
from tests.support.lane import TestLane
from tests.support.waiting import until

PATIENCE_S = 120.0
LOOK_MS = 15_000


@dataclass(frozen=True)
class Scene:
    """A lane with both writers and some refused messages, Dagster over it, and a browser."""

    lane: TestLane
    scope: Scope
    dagster: DagsterDev
    page: Page

    def open_asset(self, path: list[str], view: str = "overview", **query: str) -> None:
        """Opens the asset's page."""
        more = "".join(f"&{name}={value}" for name, value in query.items())
        self.page.goto(f"{self.dagster.url}/assets/{'/'.join(path)}?view={view}{more}")

    def see(self, *texts: str) -> None:
        """Waits until the page shows the texts; what a page has loaded does not always follow."""

        def shown() -> bool:
            try:
                for text in texts:
                    self.page.get_by_text(text, exact=True).first.wait_for(timeout=LOOK_MS)
            except NotSeen:
                self.page.reload()
                return False
            return True

        until(shown, f"a page with {texts}", PATIENCE_S)


@pytest.fixture(scope="module")
def scene(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything that the tests of this file look at, started once."""
    folder = tmp_path_factory.mktemp("pages")
    with TestLane(stack, folder / "lane", secrets.token_hex(4)) as lane:
        lane.init()
        lane.start("hot")
        lane.start("lake")
        lane.publish([*lane.readings(300), b"{}", b"no json"])
        lane.wait_hot(302)
        lane.wait_lake(302)
        quick = {"IOT_QUALITY__CHECKS_EVERY_S": "5", "IOT_MAINTENANCE__WATERMARKS_EVERY_S": "10"}
        with DagsterDev(folder / "dagster", lane.env | quick) as dagster, browser_page() as page:
            page.set_default_timeout(4 * LOOK_MS)
            yield Scene(lane, scope_of(lane), dagster, page)


def test_the_graph_shows_every_asset_and_no_error(scene: Scene) -> None:
    """One graph holds streams, tables, what is made from them, and the proof."""
    scene.page.goto(f"{scene.dagster.url}/asset-groups")

    scope = scene.scope
    keys = [
        scope.stream,
        scope.dead_letters,
        scope.hot_table,
        scope.lake_table,
        scope.proof,
        scope.of_lake_table("compaction"),
        scope.lake_product("daily"),
    ]
    scene.see(*{key.path[-1] for key in keys})
    expect(scene.page.get_by_text("error", exact=False)).to_have_count(0)


def test_a_table_that_ingest_feeds_comes_alive(scene: Scene) -> None:
    """The hot table shows its rows, its columns and a fresh state without any run."""
    scene.open_asset(list(scene.scope.hot_table.path))

    scene.see("Row count", "300", "Passing", "device_id")


def test_a_check_says_what_it_saw(scene: Scene) -> None:
    """The page of a check shows the verdict, the sentence and the numbers behind it."""
    scene.open_asset(list(scene.scope.hot_table.path), "checks", checkDetail="clickhouse_is_fresh")

    scene.see(
        "Passed",
        "ClickHouse holds everything up to 302, the end of the stream",
        "waiting_s_allowed",
    )


def test_a_run_started_by_hand_shows_figures_as_plots_and_pictures(scene: Scene) -> None:
    """Numbers are drawn over time, and a picture opens from the run's metadata."""
    page = scene.page
    scene.open_asset(list(report_key(scene.scope).path))
    page.get_by_role("button", name="Materialize").first.click()

    scene.see("no json", "[Show Markdown]")
    page.get_by_text("[Show Markdown]").first.click()
    picture = page.locator('img[src^="data:image/png"]').first
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 400
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Plots").first.click()
    page.locator("canvas").first.wait_for()
