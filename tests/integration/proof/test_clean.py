"""A lane in order is proven, and the command says so."""

from __future__ import annotations

import json

from clickhouse_connect.driver.client import Client

from tests.integration.proof.scenario import MALFORMED, MESSAGES, proof
from tests.support.lane import TestLane


def test_a_lane_in_order_is_proven(stored: TestLane) -> None:
    """All sides hold the same, and every claim holds."""
    report = proof(stored)

    assert report["findings"] == []
    assert report["rows"] == MESSAGES - len(MALFORMED) + 2
    assert all(claim["holds"] for claim in report["claims"])
    assert report["readers"]["iceberg"] == "clickhouse icebergS3"
    claims = {claim["name"]: claim["values"] for claim in report["claims"]}
    assert claims["refused"] == {"stream": "3", "dlq": "3"}
    assert claims["last"] == dict.fromkeys(("stream", "clickhouse", "iceberg"), "300")


def test_the_command_tells_the_verdict_by_its_exit_code(
    stored: TestLane, clickhouse: Client
) -> None:
    """Exit 0 and PROVEN when all is equal, exit 1 and NOT PROVEN with the sequence when not."""
    done = stored.ingest("verify", "--no-ledger")
    assert "\nPROVEN " in done.stdout
    assert "DIFFERS" not in done.stdout

    clickhouse.command(
        f"ALTER TABLE {stored.table} DELETE WHERE _seq = 20", settings={"mutations_sync": 2}
    )
    done = stored.ingest("verify", check=False)
    assert done.returncode == 1
    assert "- clickhouse: missing sequence 20" in done.stdout
    assert "\nNOT PROVEN " in done.stdout
    done = stored.ingest("verify", "--output", "json", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["sequences"] == [[20, 20]]


def test_nothing_stored_is_one_sentence(lane: TestLane) -> None:
    """Before a path has stored anything there is nothing to prove: exit 1 and the reason."""
    lane.init()
    empty = lane.ingest("verify", check=False)
    lane.publish(lane.readings(1))
    unread = lane.ingest("verify", check=False)

    assert [empty.returncode, unread.returncode] == [1, 1]
    assert [done.stderr.count("\n") for done in (empty, unread)] == [1, 1]
    assert "it never had a message" in empty.stderr
    assert "hot path has stored nothing yet" in unread.stderr
