"""What goes wrong is told outside of Dagster."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.alerts.sensors import alert_sensor
from pipelines.scope import Scope
from pipelines.settings import load_pipeline_settings


def definitions(scope: Scope) -> dg.Definitions:
    """The area of one contract."""
    return dg.Definitions(sensors=[alert_sensor(scope, load_pipeline_settings().alerts.every_s)])
