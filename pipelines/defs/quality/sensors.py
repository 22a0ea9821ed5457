"""The cheap checks without a run, and the reconciliation when there is something to prove."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
import msgspec

from pipelines.defs.quality.checks import asset_of
from pipelines.lanes import Lane, named
from pipelines.quality_cheap import PROVEN_UPTO
from pipelines.quality_lanes import cheap_verdicts
from pipelines.quality_look import LaneLook, look_at
from pipelines.quality_verdict import Verdict
from pipelines.report.verdicts import evaluation
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.settings import QualitySettings
from pipelines.watermarks import impatient

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class Told(msgspec.Struct, frozen=True):
    """A verdict as it was reported last, and when (Unix time).

    ``proven`` is the last proven sequence: Dagster's pages hide a verdict on the proof that is
    older than its materialisation.
    """

    passed: bool
    known: bool
    proven: int
    at: float

    @classmethod
    def of(cls, verdict: Verdict, now: float) -> Told:
        """The verdict as it is reported now."""
        return cls(verdict.passed, verdict.known, _proven(verdict), now)


def checks_sensor(scope: Scope, settings: QualitySettings) -> dg.SensorDefinition:
    """Evaluates the cheap checks; tells each change at once, the rest from time to time."""

    @dg.sensor(
        name=f"checks_{scope.name}",
        description=f"The cheap checks of {scope.lane}: freshness, commits, refusals.",
        minimum_interval_seconds=settings.checks_every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def checks(context: dg.SensorEvaluationContext, lakehouse: Lakehouse) -> dg.SensorResult:
        found = look_at(_impatient(lakehouse.lanes(scope)))
        bounds = lakehouse.pipeline_settings.quality
        told = msgspec.json.decode(context.cursor or "{}", type=dict[str, Told])
        now = time.time()
        news = [
            verdict
            for verdict in cheap_verdicts(found, bounds)
            if is_news(verdict, told.get(verdict.check), now, bounds.told_every_s)
        ]
        told |= {one.check: Told.of(one, now) for one in news}
        return dg.SensorResult(
            asset_events=[evaluation(one, asset_of(scope, one.check)) for one in news],
            cursor=msgspec.json.encode(told).decode(),
            skip_reason=None if news else f"{len(told)} checks are as they were",
        )

    return checks


def is_news(verdict: Verdict, told: Told | None, now: float, every_s: float) -> bool:
    """Whether the verdict is to be reported: changed, or not reported for ``every_s``."""
    if told is None or now - told.at >= every_s:
        return True
    return told != msgspec.structs.replace(Told.of(verdict, now), at=told.at)


def _proven(verdict: Verdict) -> int:
    """Changes with every lane's proof: the sum over the lanes."""
    numbers = verdict.numbers.items()
    return int(sum(value for name, value in numbers if name.split("/")[0] == PROVEN_UPTO))


def _impatient(lanes: list[Lane]) -> list[Lane]:
    return [Lane(impatient(one.settings), one.contract) for one in lanes]


def reconciliation_sensor(
    scope: Scope, job: dg.UnresolvedAssetJobDefinition, settings: QualitySettings
) -> dg.SensorDefinition:
    """Asks for one reconciliation at a time, when both sinks hold what nobody has proven."""

    @dg.sensor(
        name=f"reconciliation_{scope.name}",
        description=f"New closed ranges of {scope.lane}.",
        job=job,
        minimum_interval_seconds=min(settings.prove_every_s, 30),
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def new_ranges(
        context: dg.SensorEvaluationContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> dg.SensorResult | dg.SkipReason:
        filters = dg.RunsFilter(job_name=job.name, statuses=_UNDER_WAY)
        if context.instance.get_run_ids(filters, limit=1):
            return dg.SkipReason(f"a run of {job.name} is under way")
        every_s = lakehouse.pipeline_settings.quality.prove_every_s
        now = time.time()
        waited_s = now - float(context.cursor or 0)
        if waited_s < every_s:
            return dg.SkipReason(f"asked {waited_s:.0f} s ago, every {every_s} s at most")
        found = look_at(_impatient(lakehouse.lanes(scope)))
        reason = nothing_to_prove(found) or guard.objection()
        if reason is not None:
            return dg.SkipReason(reason)
        known = [one.proof for one in found if one.proof is not None]
        proven = "-".join(str(one.proven.last if one.proven else 0) for one in known)
        moment = datetime.fromtimestamp(now, UTC)
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"{proven}-{moment:%Y%m%dT%H%M%S}",
                    tags={"sequences": str(sum(one.left for one in known))},
                )
            ],
            cursor=str(now),
        )

    return new_ranges


def recheck_sensor(scope: Scope, job: dg.UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """Asks for a look at the rewritten files after each compaction."""

    @dg.asset_sensor(
        name=f"after_compaction_{scope.name}",
        asset_key=scope.of_lake_table("compaction"),
        job=job,
        description=f"Rewritten files of {scope.contract.namespace}.{scope.name}.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def compacted(
        _context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry
    ) -> dg.RunRequest:
        return dg.RunRequest(run_key=asset_event.run_id)

    return compacted


def nothing_to_prove(looks: Sequence[LaneLook]) -> str | None:
    """Why no reconciliation would find anything in any lane, None when it would."""
    reasons = {one.lane: _nothing_to_prove(one) for one in looks}
    told = {lane: reason for lane, reason in reasons.items() if reason is not None}
    return named(told, several=len(looks) > 1) if len(told) == len(looks) else None


def _nothing_to_prove(found: LaneLook) -> str | None:
    if found.proof is None:
        return f"no range is closed: {found.why('NATS', 'Iceberg')}"
    if not found.proof.left:
        proven = found.proof.proven
        return f"everything that both sinks hold is proven, up to {proven.last if proven else 0:,}"
    return None
