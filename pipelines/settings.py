"""Settings of the maintenance side, from the same sources as those of ``ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from ingest.settings import Settings
from ingest.settings_sources import Section, load

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class TrinoSettings(Section):
    """How to reach Trino."""

    url: SecretStr = Field(
        SecretStr("http://iot@127.0.0.1:8080"),
        description="http(s)://user:password@host:port; a password needs https",
    )
    ca_file: Path | None = Field(None, description="CA that signed Trino's certificate")
    catalog: str = Field("iceberg", description="Trino's name of the Iceberg catalog")
    connect_timeout_s: Positive = Field(5.0, description="Wait for one answer of Trino")
    query_timeout_s: Positive = Field(3600.0, description="Longest statement")


class MaintenanceSettings(Section):
    """Upkeep of the tables."""

    contracts: str = Field(
        "", description="Contracts to maintain, separated by commas; empty: the setting contract"
    )


class BudgetSettings(Section):
    """What maintenance may cost the hot path."""


class QualitySettings(Section):
    """Bounds of the checks."""


class AlertSettings(Section):
    """Where failed runs and red checks are reported."""


class PipelineSettings(Section):
    """All settings of the maintenance side."""

    trino: TrinoSettings = TrinoSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    budget: BudgetSettings = BudgetSettings()
    quality: QualitySettings = QualitySettings()
    alerts: AlertSettings = AlertSettings()


def load_pipeline_settings(folder: Path | None = None, **overrides: str) -> PipelineSettings:
    """Settings in force for ``folder`` (default: the current one).

    ``overrides`` are dotted names with ``__`` for the dot and win over everything.
    Raises SettingsError naming the key, where it was found and what was expected.
    """
    return load_pipeline_settings_with_origins(folder, **overrides)[0]


def load_pipeline_settings_with_origins(
    folder: Path | None = None, **overrides: str
) -> tuple[PipelineSettings, dict[str, str]]:
    """Settings, and for each dotted name that is not a default the source that gave it."""
    foreign = tuple(Settings.model_fields)
    return load(PipelineSettings, folder or Path.cwd(), overrides, foreign=foreign)
