"""Everything that Dagster knows, for each contract that is maintained."""

from __future__ import annotations

import dagster as dg

from ingest.settings import load_settings
from pipelines.defs import alerts, hot, lake, products, quality, stream
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope, scopes
from pipelines.settings import load_pipeline_settings


@dg.definitions
def defs() -> dg.Definitions:
    """The code location; reads contracts and settings, opens no connection."""
    maintained = scopes(load_settings(), load_pipeline_settings().maintenance.contracts)
    return location(maintained, Lakehouse())


def location(maintained: list[Scope], lakehouse: Lakehouse) -> dg.Definitions:
    """The graph of the given contracts over the given systems."""
    areas = [
        area.definitions(scope)
        for scope in maintained
        for area in (stream, hot, lake, products, quality, alerts)
    ]
    return dg.Definitions.merge(
        *areas,
        dg.Definitions(
            resources={"lakehouse": lakehouse, "guard": BudgetGuard(lakehouse=lakehouse)},
            executor=dg.in_process_executor,
            sensors=[_automation()],
        ),
    )


def _automation() -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        run_tags={"workload": "maintenance", "dagster/priority": "-1"},
    )
