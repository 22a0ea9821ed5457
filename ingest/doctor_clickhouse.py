"""Doctor's look at ClickHouse: server, table, settings, permissions. Every function blocks."""

from __future__ import annotations

import re

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.clickhouse_client import connect, translate
from ingest.contract import Contract
from ingest.doctor_finding import Finding, Findings
from ingest.errors import IngestError, SchemaMismatchError
from ingest.provision_tables import live_clickhouse_columns
from ingest.settings import Settings
from ingest.sinks.clickhouse_schema import DEDUPLICATION_WINDOW, add_column_statements

OLDEST_VERSION = (24, 8)
OLDEST_RUN = (26, 1)
"""The oldest that the project has been run with: docs/compatibility.md."""
INIT = "run `ingest init`"
REQUIRED_SETTINGS = {
    "fsync_after_insert": 1,
    "fsync_part_directory": 1,
}
WHY = {
    "fsync_after_insert": "an acknowledged insert could be lost in a power cut",
    "fsync_part_directory": "an acknowledged insert could be lost in a power cut",
}


def examine(settings: Settings, contract: Contract) -> list[Finding]:
    """Findings on ClickHouse; the first one alone when it does not answer."""
    findings = Findings("ClickHouse")
    try:
        client = connect(settings.clickhouse, database="")
    except IngestError as error:
        findings.problem(
            "connection",
            error,
            "start ClickHouse, or correct clickhouse.url (IOT_CLICKHOUSE__URL)",
        )
        return findings.all
    try:
        findings.ok("connection")
        _examine_version(client, findings)
        if _examine_columns(client, contract, findings):
            _examine_table(client, contract, findings)
            _examine_permissions(client, contract, findings)
    except ClickHouseError as error:
        findings.problem("answers", translate(error, sent=False), "look into the server's log")
    finally:
        client.close()
    return findings.all


def _examine_version(client: Client, findings: Findings) -> None:
    version = str(client.server_version)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if OLDEST_VERSION <= numbers < OLDEST_RUN:
        run = ".".join(map(str, OLDEST_RUN))
        findings.note("version", version, f"has been run with {run} and newer only; prefer those")
        return
    findings.require(
        "version",
        version,
        f"use ClickHouse {'.'.join(map(str, OLDEST_VERSION))} or newer",
        fine=numbers >= OLDEST_VERSION,
    )


def _examine_columns(client: Client, contract: Contract, findings: Findings) -> bool:
    check = f"columns of {contract.namespace}.{contract.table}"
    live = live_clickhouse_columns(client, contract)
    if not live:
        findings.problem(check, "no such table, or no right to see it", INIT)
        return False
    try:
        missing = add_column_statements(contract, live)
    except SchemaMismatchError as error:
        findings.problem(check, error, "see `ingest schema diff`")
        return True
    findings.require(
        check,
        f"{len(live)}" if not missing else f"{len(missing)} missing or narrower",
        "`ingest schema apply`",
        fine=not missing,
    )
    return True


def _examine_table(client: Client, contract: Contract, findings: Findings) -> None:
    name = f"{contract.namespace}.{contract.table}"
    engine, partition, engine_full, created = client.query(
        "SELECT engine, partition_key, engine_full, create_table_query FROM system.tables"
        " WHERE database = {database:String} AND name = {table:String}",
        {"database": contract.namespace, "table": contract.table},
    ).result_rows[0]
    findings.require(
        "engine",
        f"{engine} by {partition}",
        f"make {name} anew: an insert has to be one part of a MergeTree by toDate(_stored_at)",
        fine=engine.endswith("MergeTree") and partition == "toDate(_stored_at)",
    )
    told = dict(re.findall(r"(\w+) = (\d+)", engine_full))
    kind = "replicated" if engine.startswith("Replicated") else "non_replicated"
    window = f"{kind}_deduplication_window"
    value = int(told.get(window, 0))
    findings.require(
        window,
        value,
        f"ALTER TABLE {name} MODIFY SETTING {window} = {DEDUPLICATION_WINDOW}: without it an insert"
        " sent twice is stored twice",
        fine=value >= DEDUPLICATION_WINDOW,
    )
    for setting, wanted in REQUIRED_SETTINGS.items():
        findings.require(
            setting,
            told.get(setting, "off"),
            f"ALTER TABLE {name} MODIFY SETTING {setting} = {wanted}: {WHY[setting]}",
            fine=told.get(setting) == str(wanted),
        )
    if contract.rollup:
        _examine_rollup(client, contract, findings, created)


def _examine_rollup(client: Client, contract: Contract, findings: Findings, created: str) -> None:
    name = f"{contract.namespace}.{contract.table}"
    findings.require(
        "projection",
        "per_minute" if "PROJECTION per_minute" in created else "none",
        f"{name}_1m reads every row without it; ALTER TABLE {name} ADD PROJECTION as `ingest"
        " schema show` says, then MATERIALIZE it",
        fine="PROJECTION per_minute" in created,
    )
    views = client.query(
        "SELECT count() FROM system.tables"
        " WHERE database = {database:String} AND name = {view:String}",
        {"database": contract.namespace, "view": f"{contract.table}_1m"},
    ).result_rows[0][0]
    findings.require(f"view {name}_1m", "there" if views else "missing", INIT, fine=bool(views))


def _examine_permissions(client: Client, contract: Contract, findings: Findings) -> None:
    """An insert of no row needs the same rights as one of many."""
    name = f"{contract.namespace}.{contract.table}"
    try:
        client.command(f"INSERT INTO {name} SELECT * FROM {name} WHERE 0")
        findings.ok("inserting")
    except ClickHouseError as error:
        findings.problem(
            "inserting", translate(error, sent=False), f"GRANT SELECT, INSERT ON {name} TO the user"
        )
