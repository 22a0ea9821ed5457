"""docs/verify.sql says what `ingest verify` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from tests.integration.proof.scenario import proof
from tests.support.lane import TestLane

FILE = Path(__file__).parents[3] / "docs" / "verify.sql"


def ask(lane: TestLane, client: Client, part: dict[str, Any]) -> tuple[Any, Any, int]:
    """The answer of the file, filled in for the lane."""
    s3 = lane.settings.s3
    query = FILE.read_text(encoding="utf-8")
    for name, value in {
        "lane": lane.stream,
        "epoch": part["epoch"],
        "first": part["first"],
        "last": part["last"],
        "endpoint": s3.endpoint,
        "access_key": s3.access_key.get_secret_value(),
        "secret_key": s3.secret_key.get_secret_value(),
    }.items():
        query = query.replace("{" + name + "}", str(value))
    namespace = lane.contract.namespace
    query = query.replace("iot.readings", lane.table).replace(
        "iot/readings", f"{namespace}/readings"
    )
    ((hot, lake, equal),) = client.query(query).result_rows
    return hot, lake, int(equal)


def test_the_query_agrees_with_the_proof(stored: TestLane, clickhouse: Client) -> None:
    """Rows and fingerprint of plain SQL are those of the proof, and a changed row shows."""
    report = proof(stored)
    (part,) = report["parts"]

    hot, lake, equal = ask(stored, clickhouse, part)
    assert equal == 1
    assert (hot[0], hot[1].lower()) == (report["rows"], report["fingerprint"])
    assert hot == lake

    clickhouse.command(
        f"ALTER TABLE {stored.table} UPDATE value = value + 1 WHERE _seq = 10",
        settings={"mutations_sync": 2},
    )
    assert ask(stored, clickhouse, part)[2] == 0


def test_the_query_is_short() -> None:
    """It is meant to be read: some forty lines of SQL."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if not line.startswith("--")]) <= 42
