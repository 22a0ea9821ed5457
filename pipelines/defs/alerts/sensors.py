"""Failed runs, red checks and silent devices of a lane, told once each, and their end."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import msgspec

from pipelines.alert_channels import channels
from pipelines.alerts import Look, remembered
from pipelines.defs.alerts.sources import finished_runs, red_checks, silent_devices
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope


def alert_sensor(scope: Scope, every_s: int) -> dg.SensorDefinition:
    """Looks at Dagster's own records alone; starts no run."""

    @dg.sensor(
        name=f"alerts_{scope.name}",
        description=f"Failed runs, red checks and silent devices of {scope.lane}, to the webhook "
        "and the NATS subject of the settings.",
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alerts(context: dg.SensorEvaluationContext, lakehouse: Lakehouse) -> dg.SkipReason:
        own = lakehouse.pipeline_settings.alerts
        told_to = channels(own, lakehouse.settings.nats)
        if not told_to:
            return dg.SkipReason(
                "nobody is told: neither IOT_ALERTS__WEBHOOK_URL nor IOT_ALERTS__NATS_SUBJECT is"
                " set"
            )
        now = datetime.now(UTC)
        look = Look(remembered(context.cursor), scope.lane, scope.contract.name, now)
        finished_runs(context.instance, scope, look, now)
        look.compare("check", red_checks(context, scope, look.memory.open))
        silence = silent_devices(context.instance, scope)
        if silence is not None:
            look.compare("silence", silence)
        look.deliver(told_to)
        context.update_cursor(msgspec.json.encode(look.memory).decode())
        for problem in (*look.problems.values(), *look.refused):
            context.log.warning("%s", problem)
        return dg.SkipReason(_told(look))

    return alerts


def _told(look: Look) -> str:
    parts = [f"{look.sent} alerts sent", f"{len(look.memory.open)} problems open"]
    for name, waiting in look.memory.waiting.items():
        if waiting:
            parts.append(f"{len(waiting)} wait: {look.problems.get(name, f'next look ({name})')}")
    parts += [f"{count} given up on {name}" for name, count in look.memory.given_up.items()]
    return "; ".join(parts)
