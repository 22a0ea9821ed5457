"""Doctor's look at the object store and the Iceberg catalog. Every function blocks."""

from __future__ import annotations

import secrets
import uuid

from clickhouse_connect.driver.exceptions import ClickHouseError
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.table import Table
from pyiceberg.table.update import AssertTableUUID, SetPropertiesUpdate

from ingest import catalog, clickhouse_client, s3
from ingest.contract import Contract
from ingest.doctor_finding import Finding, Findings
from ingest.errors import IngestError
from ingest.proof.iceberg_side import iceberg_source
from ingest.settings import Settings
from ingest.sinks.iceberg import FAILURES
from ingest.sinks.iceberg_schema import partition_spec, sort_order, table_properties
from ingest.table_diff import iceberg_differences

PROBE = b"written by ingest doctor; safe to delete"
INIT = "run `ingest init`"
HARMFUL = ("commit.retry.num-retries", "commit.retry.min-wait-ms", "commit.retry.max-wait-ms")


def examine_store(settings: Settings) -> list[Finding]:
    """Findings on the S3 bucket: one object is written, read and deleted again."""
    findings = Findings("S3")
    bucket, key = settings.s3.bucket, f"ingest-doctor/{secrets.token_hex(8)}"
    try:
        client = s3.connect(settings.s3)
        client.head_bucket(Bucket=bucket)
        findings.ok(f"bucket {bucket}", "there")
    except (*s3.FAILURES, ValueError) as error:
        missing = s3.error_code(error) in ("404", "NoSuchBucket")
        findings.problem(
            f"bucket {bucket}",
            "missing" if missing else s3.unavailable(error),
            INIT if missing else "start the object store, or correct s3.* (IOT_S3__*)",
        )
        return findings.all
    try:
        written = client.put_object(Bucket=bucket, Key=key, Body=PROBE)
        same = client.get_object(Bucket=bucket, Key=key)["Body"].read() == PROBE
        version = {"VersionId": written["VersionId"]} if "VersionId" in written else {}
        client.delete_object(Bucket=bucket, Key=key, **version)
        findings.require(
            "write, read, delete",
            "ok" if same else "read something else",
            "check the object store",
            fine=same,
        )
        versioning = client.get_bucket_versioning(Bucket=bucket).get("Status", "off")
        findings.require(
            "versioning",
            versioning,
            f"{INIT}: it turns versioning on",
            fine=versioning == "Enabled",
        )
    except s3.FAILURES as error:
        findings.problem(
            "write, read, delete", error, f"allow Get, Put and Delete on {bucket}/ingest-doctor/*"
        )
    return findings.all


def examine_catalog(settings: Settings, contract: Contract) -> list[Finding]:
    """Findings on the catalog and the contract's table."""
    findings = Findings("Iceberg")
    name = f"{contract.namespace}.{contract.table}"
    try:
        lake = catalog.connect(settings)
        findings.ok("connection", settings.catalog.uri)
        table = lake.load_table(name)
    except NoSuchTableError:
        findings.problem(f"table {name}", "missing", INIT)
        return findings.all
    except IngestError as error:
        findings.problem("connection", error, "correct catalog.* and s3.* (IOT_CATALOG__*)")
        return findings.all
    except FAILURES as error:
        findings.problem(
            "connection", catalog.unavailable(error), "correct catalog.* and s3.* (IOT_CATALOG__*)"
        )
        return findings.all
    _examine_table(table, contract, findings)
    _examine_commit(lake, table, findings)
    _examine_reading(settings, table, findings)
    return findings.all


def _examine_table(table: Table, contract: Contract, findings: Findings) -> None:
    differing = iceberg_differences(table, contract)
    for difference in differing:
        findings.problem("columns", difference.sentence, "see `ingest schema diff`")
    if not differing:
        findings.ok("columns", len(table.schema().fields))
    live = table.schema()
    layout = (
        ("partition", table.spec(), partition_spec(contract, live)),
        ("sort order", table.sort_order(), sort_order(contract, live)),
    )
    for check, found, wanted in layout if not differing else ():
        if found.fields == wanted.fields:
            findings.ok(check, str(found).replace("\n", " "))
        else:
            findings.note(check, str(found), f"the contract says {wanted}")
    _examine_properties(table, contract, findings)


def _examine_properties(table: Table, contract: Contract, findings: Findings) -> None:
    harmful = [name for name in HARMFUL if name in table.properties]
    for name in harmful:
        findings.problem(
            "properties",
            f"{name} is set on the table",
            "remove it: it takes away the retries of every other client too",
        )
    name = "write.metadata.delete-after-commit.enabled"
    if table.properties.get(name) != table_properties(contract)[name]:
        findings.problem(
            "properties",
            f"{name} is {table.properties.get(name)}",
            "set it to true: metadata files would pile up with every commit",
        )
    elif not harmful:
        findings.ok("properties")


def _examine_commit(lake: Catalog, table: Table, findings: Findings) -> None:
    """A commit that must be refused as a conflict: the right is checked before the conflict."""
    nobody = AssertTableUUID(uuid=uuid.uuid4())
    nothing = SetPropertiesUpdate(updates={"ingest.doctor": "probe"})
    try:
        lake.commit_table(table, (nobody,), (nothing,))
    except CommitFailedException:
        findings.ok("committing", "allowed; a commit on another base is refused")
    except FAILURES as error:
        findings.problem(
            "committing", catalog.unavailable(error), "allow commits to the table in the catalog"
        )
    else:
        findings.problem(
            "committing",
            "the catalog took a commit whose requirement does not hold",
            "use a catalog that checks requirements: without that two writers double rows",
        )


def _examine_reading(settings: Settings, table: Table, findings: Findings) -> None:
    """ClickHouse reads the lake's files for the proof; PyArrow stands in, more slowly."""
    check = "ClickHouse reads it"
    if table.current_snapshot() is None:
        findings.ok(check, "no snapshot yet")
        return
    try:
        client = clickhouse_client.connect(settings.clickhouse, database="")
    except IngestError as error:
        findings.note(check, error, "see ClickHouse above")
        return
    try:
        client.query(f"SELECT 1 FROM {iceberg_source(settings, table)} LIMIT 1")
        findings.ok(check)
    except (ClickHouseError, IngestError) as error:
        findings.note(
            check,
            str(error).splitlines()[0][:300],
            "let ClickHouse reach s3.endpoint; until then proofs read through PyArrow, slower",
        )
    finally:
        client.close()
