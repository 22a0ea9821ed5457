"""One job for each way of checking, to be started by hand as well."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from pipelines.defs.quality.assets import sides_of
from pipelines.defs.quality.checks import asset_of
from pipelines.defs.quality.verdicts import REWRITTEN, STILL_HOLDS
from pipelines.report.proof import CHECKS
from pipelines.scope import Scope

MAINTENANCE = {"workload": "maintenance", "dagster/priority": "-1"}
CHECKING = {"workload": "checks"}


@dataclass(frozen=True)
class Jobs:
    """The jobs of one lane."""

    reconcile: dg.UnresolvedAssetJobDefinition
    again: dg.UnresolvedAssetJobDefinition
    recheck: dg.UnresolvedAssetJobDefinition
    cheap: dg.UnresolvedAssetJobDefinition
    costly: dg.UnresolvedAssetJobDefinition

    def listed(self) -> list[dg.UnresolvedAssetJobDefinition]:
        """All of them."""
        return [self.reconcile, self.again, self.recheck, self.cheap, self.costly]


def quality_jobs(
    scope: Scope, cheap: dg.AssetChecksDefinition, costly: dg.AssetChecksDefinition
) -> Jobs:
    """The jobs of the lane; ``cheap`` and ``costly`` are its checks."""
    proof_checks = [dg.AssetCheckKey(scope.proof, CHECKS[side]) for side in sides_of(scope)]
    still_holds = dg.AssetCheckKey(asset_of(scope, STILL_HOLDS), STILL_HOLDS)
    return Jobs(
        reconcile=dg.define_asset_job(
            f"reconcile_{scope.name}",
            selection=dg.AssetSelection.assets(scope.proof).without_checks()
            | dg.AssetSelection.checks(*proof_checks),
            tags=MAINTENANCE,
            description=f"Proves what is new on {scope.lane}.",
        ),
        again=dg.define_asset_job(
            f"prove_again_{scope.name}",
            selection=dg.AssetSelection.checks(still_holds),
            tags=MAINTENANCE,
            description=f"Compares everything that was proven on {scope.lane} again.",
        ),
        recheck=dg.define_asset_job(
            f"recheck_lake_{scope.name}",
            selection=dg.AssetSelection.checks(dg.AssetCheckKey(scope.lake_table, REWRITTEN)),
            tags=MAINTENANCE,
            description=f"Holds rewritten files of {scope.lake_table.path[-1]} against the ledger.",
        ),
        cheap=dg.define_asset_job(
            f"cheap_checks_{scope.name}",
            selection=dg.AssetSelection.checks(cheap),
            tags=CHECKING,
            description="Evaluates the cheap checks now.",
        ),
        costly=dg.define_asset_job(
            f"costly_checks_{scope.name}",
            selection=dg.AssetSelection.checks(costly),
            tags=CHECKING,
            description="Evaluates the checks that ask the tables now.",
        ),
    )
