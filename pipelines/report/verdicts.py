"""Verdicts as Dagster's check results and evaluations."""

from __future__ import annotations

import dagster as dg

from pipelines.quality_verdict import Verdict
from pipelines.report.tables import markdown_table

Metadata = dict[str, dg.MetadataValue | int | float | str]


def result(verdict: Verdict, key: dg.AssetKey) -> dg.AssetCheckResult:
    """The result of a check that a run executed."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=verdict.check,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=verdict.text,
        metadata=_metadata(verdict),
    )


def evaluation(verdict: Verdict, key: dg.AssetKey) -> dg.AssetCheckEvaluation:
    """The same for a check that a sensor evaluated, without a run."""
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=verdict.check,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=verdict.text,
        metadata=_metadata(verdict),
    )


def tell(instance: dg.DagsterInstance, verdict: Verdict, key: dg.AssetKey) -> None:
    """Reports the verdict of a run once more without the run.

    Dagster's pages hide the verdict of a run as soon as the asset is materialised again (1.13),
    which the tables are all the time; one without a run stays.
    """
    instance.report_runless_asset_event(evaluation(verdict, key))


def _metadata(verdict: Verdict) -> Metadata:
    found: Metadata = {"evaluated": "yes" if verdict.known else "no", **verdict.numbers}
    if verdict.rows:
        found["table"] = markdown_table(verdict.headers, verdict.rows)
    return found
