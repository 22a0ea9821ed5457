"""`ingest doctor` on the maintenance side: Trino, its catalog, the table as it sees it."""

from __future__ import annotations

from ingest.contract import Contract
from ingest.doctor_finding import Finding, Findings
from ingest.errors import IngestError
from ingest.settings import Settings
from pipelines.errors import PipelineError, TrinoRefused
from pipelines.settings import load_pipeline_settings_with_origins
from pipelines.trino_client import MAINTENANCE, Trino, quoted

START = "start Trino (`devstack up --with trino`), or correct trino.url (IOT_TRINO__URL)"
GROUP = "maintenance"


def examine(settings: Settings, contract: Contract) -> list[Finding]:  # noqa: ARG001
    """Findings on Trino; the first one alone when it does not answer. Blocks."""
    findings = Findings("Trino")
    origins: dict[str, str] = {}
    try:
        own, origins = load_pipeline_settings_with_origins()
        trino = Trino(own.trino, MAINTENANCE, patient=False)
        version = trino.query("SELECT node_version FROM system.runtime.nodes WHERE coordinator")
    except (IngestError, PipelineError) as error:
        # Readings are stored and proven without it: a note, no problem.
        mend = START if "trino.url" in origins else f"trino.url is not set; {START}"
        findings.note("connection", error, mend)
        return findings.all
    findings.ok("connection", f"version {version[0][0]}")
    try:
        if _examine_catalog(trino, findings):
            _examine_table(trino, contract, findings)
        _examine_group(trino, findings)
    except PipelineError as error:
        findings.problem("answers", error, "look into Trino's log")
    return findings.all


def _examine_catalog(trino: Trino, findings: Findings) -> bool:
    catalogs = {str(name) for (name,) in trino.query("SHOW CATALOGS")}
    return findings.require(
        f"catalog {trino.catalog}",
        "there"
        if trino.catalog in catalogs
        else f"missing; there are {', '.join(sorted(catalogs))}",
        "add it to Trino, or correct trino.catalog (IOT_TRINO__CATALOG)",
        fine=trino.catalog in catalogs,
    )


def _examine_table(trino: Trino, contract: Contract, findings: Findings) -> None:
    name = quoted(trino.catalog, contract.namespace, contract.table)
    check = f"table {contract.namespace}.{contract.table}"
    try:
        found = {str(row[0]) for row in trino.query(f"SHOW COLUMNS FROM {name}")}
    except TrinoRefused as error:
        findings.problem(
            check, error, "run `ingest init`, or let Trino's catalog point at the warehouse"
        )
        return
    missing = [column.name for column in contract.columns if column.name not in found]
    findings.require(
        check,
        f"lacks {', '.join(missing)}" if missing else f"{len(found)} columns",
        "see `ingest schema diff`",
        fine=not missing,
    )


def _examine_group(trino: Trino, findings: Findings) -> None:
    """Where Trino puts maintenance: in a group of its own it cannot crowd out other queries."""
    rows = trino.query(
        "SELECT resource_group_id FROM system.runtime.queries"
        " WHERE source = ? AND state = 'RUNNING' LIMIT 1",
        (MAINTENANCE,),
    )
    group = ".".join(rows[0][0] or ()) if rows else ""
    if GROUP in group:
        findings.ok("resource group", group)
    else:
        findings.note(
            "resource group",
            group or "none",
            f"give statements whose source is {MAINTENANCE} a group that runs one at a time",
        )
