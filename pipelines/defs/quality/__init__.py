"""The proof and the checks."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.quality.assets import proof
from pipelines.defs.quality.checks import (
    cheap_checks,
    costly_checks,
    rewritten_holds,
    still_holds,
)
from pipelines.defs.quality.jobs import quality_jobs
from pipelines.defs.quality.schedules import quality_schedules
from pipelines.defs.quality.sensors import checks_sensor, recheck_sensor, reconciliation_sensor
from pipelines.scope import Scope
from pipelines.settings import load_pipeline_settings


def definitions(scope: Scope) -> dg.Definitions:
    """The area of one contract."""
    settings = load_pipeline_settings().quality
    cheap, costly = cheap_checks(scope), costly_checks(scope)
    jobs = quality_jobs(scope, cheap, costly)
    return dg.Definitions(
        assets=[proof(scope)],
        asset_checks=[cheap, costly, still_holds(scope), rewritten_holds(scope)],
        jobs=jobs.listed(),
        schedules=quality_schedules(scope, jobs, settings),
        sensors=[
            checks_sensor(scope, settings),
            reconciliation_sensor(scope, jobs.reconcile, settings),
            recheck_sensor(scope, jobs.recheck),
        ],
    )
