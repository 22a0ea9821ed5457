"""What is made from and done to the hot table."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.hot.assets import last_seen, rehydration, retention
from pipelines.defs.hot.schedules import last_seen_schedule, retention_schedule
from pipelines.scope import Scope
from pipelines.settings import load_pipeline_settings

TAGS = {"workload": "maintenance", "dagster/priority": "-1"}


def definitions(scope: Scope) -> dg.Definitions:
    """The area of one contract."""
    settings = load_pipeline_settings().maintenance
    table = f"{scope.contract.namespace}.{scope.name}"
    retire = _job(scope, "retire", "retention", f"Drops old, proven days of {table}.", TAGS)
    look = _job(scope, "last_seen", "last_seen", f"Looks for silent devices in {table}.", {})
    bring_back = _job(scope, "rehydrate", "rehydration", f"Brings a day of {table} back.", TAGS)
    return dg.Definitions(
        assets=[retention(scope), rehydration(scope, settings.daily_from), last_seen(scope)],
        jobs=[retire, look, bring_back],
        schedules=[
            retention_schedule(scope, retire, settings.retention_at),
            last_seen_schedule(scope, look, settings.last_seen_at),
        ],
    )


def _job(
    scope: Scope, name: str, what: str, description: str, tags: dict[str, str]
) -> dg.UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        f"{name}_{scope.name}",
        selection=dg.AssetSelection.assets(scope.of_hot_table(what)),
        tags=tags,
        description=description,
    )
