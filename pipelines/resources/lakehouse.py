"""The outside systems as one Dagster resource, reached by the settings that `ingest` reads too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import dagster as dg
from clickhouse_connect.driver.client import Client
from pydantic import Field

from ingest import clickhouse_client, nats_link
from ingest.nats_link import NatsLink
from ingest.settings import MAINTENANCE_SECTIONS, Settings, load_settings
from ingest.settings_sources import DELIMITER, PREFIX
from ingest.sinks.iceberg import IcebergSink
from pipelines.lanes import Lane, lanes_of
from pipelines.scope import Scope
from pipelines.settings import PipelineSettings, gently, load_pipeline_settings
from pipelines.trino_client import QUERIES, Trino

Result = TypeVar("Result")
CLIENT_NAME = "iot-pipelines"


class Lakehouse(dg.ConfigurableResource[None]):
    """Stream, hot table and lake table; nothing is opened before it is asked for.

    ``folder`` is where `.env`, `.devstack/env` and `iot.toml` are looked for, empty the current
    one; ``variables`` are IOT_* names that win over everything.
    """

    folder: str = ""
    variables: dict[str, str] = Field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """Settings of `ingest` as maintenance uses them. Raises SettingsError."""
        settings = load_settings(self._folder, **_overrides(self.variables, maintenance=False))
        return gently(settings, self.pipeline_settings.maintenance)

    def settings_of(self, scope: Scope) -> Settings:
        """Settings of `ingest` for the scope's contract, which may be another than theirs."""
        settings = self.settings
        return settings.model_copy(update={"contract": scope.source or settings.contract})

    def lanes(self, scope: Scope) -> list[Lane]:
        """The lanes of the scope's contract. Raises SettingsError."""
        return lanes_of(self.settings_of(scope), scope.contract)

    @property
    def pipeline_settings(self) -> PipelineSettings:
        """Settings of the maintenance side. Raises SettingsError naming what is wrong."""
        return load_pipeline_settings(self._folder, **_overrides(self.variables, maintenance=True))

    @contextmanager
    def clickhouse(self) -> Iterator[Client]:
        """A client of ClickHouse that sends everything at most once."""
        with closing(clickhouse_client.connect(self.settings.clickhouse)) as client:
            yield client

    def sink(self, scope: Scope) -> IcebergSink:
        """The lake table as `ingest` knows it."""
        return IcebergSink(self.settings, scope.contract, scope.lane)

    def trino(self, source: str = QUERIES, *, patient: bool = True) -> Trino:
        """Statements on Trino under ``source``; nothing is connected before the first one.

        Raises SettingsError when its URL cannot work.
        """
        return Trino(self.pipeline_settings.trino, source, patient=patient)

    def nats(self, work: Callable[[NatsLink], Awaitable[Result]]) -> Result:
        """Result of ``work`` over a connection of its own.

        Raises StreamUnavailableError at once when NATS is away.
        """

        async def connected() -> Result:
            link = await nats_link.connect(self.settings.nats, CLIENT_NAME, patient=False)
            try:
                return await work(link)
            finally:
                await link.close()

        return asyncio.run(connected())

    @property
    def _folder(self) -> Path | None:
        return Path(self.folder) if self.folder else None


def _overrides(variables: Mapping[str, str], *, maintenance: bool) -> dict[str, str]:
    """The variables of one of the two models, as its loader takes them."""
    names = {name.removeprefix(PREFIX).lower(): value for name, value in variables.items()}
    return {
        name: value
        for name, value in names.items()
        if (name.partition(DELIMITER)[0] in MAINTENANCE_SECTIONS) is maintenance
    }
