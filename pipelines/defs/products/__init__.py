"""What is made from the lake table."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.products.assets import daily_summary
from pipelines.defs.products.sensors import daily_sensor
from pipelines.scope import Scope
from pipelines.settings import load_pipeline_settings

TAGS = {"workload": "maintenance", "dagster/priority": "-2"}


def definitions(scope: Scope) -> dg.Definitions:
    """The area of one contract; without a rollup it does not say what to summarise."""
    if scope.contract.rollup is None:
        return dg.Definitions()
    settings = load_pipeline_settings().maintenance
    job = dg.define_asset_job(
        f"summarise_{scope.name}",
        selection=dg.AssetSelection.assets(scope.lake_product("daily")),
        tags=TAGS,
        description=f"Summarises one day of {scope.contract.namespace}.{scope.name}.",
    )
    return dg.Definitions(
        assets=[daily_summary(scope, settings.daily_from)],
        jobs=[job],
        sensors=[daily_sensor(scope, job, settings)],
    )
