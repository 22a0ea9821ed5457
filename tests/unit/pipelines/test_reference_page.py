"""The reference page of the settings is what the code says."""

from __future__ import annotations

from pathlib import Path

from ingest.settings_sources import setting_names
from ingest.settings_table import setting_rows
from pipelines.reference import PAGE, settings_markdown
from pipelines.settings import PipelineSettings

ROOT = Path(__file__).parents[3]


def test_the_page_in_the_repository_is_what_the_code_says() -> None:
    """A setting that was added or changed shows up in the page."""
    page = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")

    assert page == settings_markdown(), "run `make docs-generate`"


def test_every_setting_is_described() -> None:
    """No setting is left without a meaning."""
    rows = setting_rows(PipelineSettings(), {})

    assert [row.name for row in rows] == setting_names(PipelineSettings)
    assert [row.name for row in rows if not row.description] == []
