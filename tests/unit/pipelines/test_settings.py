"""Both sides read the same sources, each its own sections."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import SettingsError
from ingest.settings import MAINTENANCE_SECTIONS, Settings, load_settings
from pipelines.resources.lakehouse import Lakehouse
from pipelines.settings import PipelineSettings, load_pipeline_settings


def test_the_sections_of_the_two_sides_are_told_apart() -> None:
    """Every section of the maintenance side is known to ingest as foreign, and none of its own."""
    assert set(PipelineSettings.model_fields) == set(MAINTENANCE_SECTIONS)
    assert set(Settings.model_fields).isdisjoint(MAINTENANCE_SECTIONS)


def test_one_file_serves_both(tmp_path: Path) -> None:
    """Each side takes what is its own from a shared file."""
    (tmp_path / "iot.toml").write_text(
        '[trino]\ncatalog = "warehouse"\n[nats]\nurl = "nats://h:1"\n', encoding="utf-8"
    )
    (tmp_path / ".env").write_text("IOT_TRINO__QUERY_TIMEOUT_S=5\n", encoding="utf-8")

    assert load_settings(tmp_path).nats.url.get_secret_value() == "nats://h:1"
    trino = load_pipeline_settings(tmp_path).trino
    assert (trino.catalog, trino.query_timeout_s) == ("warehouse", 5.0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("IOT_TRINO__CATALOGUE=x", "unknown setting IOT_TRINO__CATALOGUE; did you mean"),
        ("IOT_TRINO__QUERY_TIMEOUT_S=0", "trino.query_timeout_s"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    """A misspelt name and a value that cannot work are refused with the file they stand in."""
    (tmp_path / ".env").write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=sentence) as refused:
        load_pipeline_settings(tmp_path)
    assert str(refused.value).startswith(".env")


def test_the_resource_gives_each_side_its_own_variables() -> None:
    """Variables given to the resource reach the model that they belong to."""
    lakehouse = Lakehouse(
        variables={"IOT_TRINO__CATALOG": "warehouse", "IOT_HOT__RETENTION_DAYS": "3"}
    )

    assert lakehouse.pipeline_settings.trino.catalog == "warehouse"
    assert lakehouse.settings.hot.retention_days == 3
