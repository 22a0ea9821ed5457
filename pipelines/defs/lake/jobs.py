"""One job for each kind of maintenance, to be started by hand as well."""

from __future__ import annotations

import dagster as dg

from pipelines.scope import Scope

TAGS = {"workload": "maintenance", "dagster/priority": "-1"}
JOBS = {
    "compact": "compaction",
    "merge_manifests": "manifests",
    "expire_snapshots": "snapshots",
    "analyze": "statistics",
    "remove_orphans": "orphans",
}
"""Asset by the job's name without the table's."""


def maintenance_jobs(scope: Scope) -> dict[str, dg.UnresolvedAssetJobDefinition]:
    """The jobs of one table by the asset that each makes."""
    return {
        what: dg.define_asset_job(
            f"{name}_{scope.name}",
            selection=dg.AssetSelection.assets(scope.of_lake_table(what)),
            tags=TAGS,
            description=f"Runs {what} of {scope.contract.namespace}.{scope.name} now.",
        )
        for name, what in JOBS.items()
    }
