"""`ingest explain` tells each kind of sequence in one sentence."""

from __future__ import annotations

import asyncio
from typing import Any

from clickhouse_connect.driver.client import Client

from ingest.explain import explain
from ingest.nats_link import NatsLink
from tests.integration.proof.scenario import payloads, proof, provision, store
from tests.support.lane import TestLane


def story(lane: TestLane, sequence: int) -> dict[str, Any]:
    """The story of a sequence."""
    return asyncio.run(explain(lane.settings, sequence)).as_dict()


def test_a_stored_message_names_part_snapshot_and_file(stored: TestLane) -> None:
    """A stored message is told with its rows, its part, its snapshot and its data file."""
    proof(stored)

    told = story(stored, 100)

    assert told["state"] == "stored"
    assert told["summary"].endswith("ClickHouse holds 3 rows, Iceberg 3 rows")
    assert [row["value"] for row in told["rows"]] == [500.0, 500.5, 501.0]
    assert {row["place"] for row in told["hot"]["rows"]} != {""}
    snapshots = {one.snapshot_id for one in stored.lake_table().snapshots()}
    assert {row["snapshot"] for row in told["lake"]["rows"]} <= snapshots
    assert all(row["place"].endswith(".parquet") for row in told["lake"]["rows"])
    assert told["ledger"]["first"] == 1


def test_a_refused_message_names_the_reason(stored: TestLane) -> None:
    """A refused message is told with its reason and its dead letter."""
    told = story(stored, 50)

    assert told["state"] == "refused"
    assert told["refusal"]["reason"] == "invalid_json"
    assert [one["state"] for one in told["dead_letters"]] == ["refused"]


def test_a_future_sequence_is_told(stored: TestLane) -> None:
    """A sequence beyond the stream's end is not there yet."""
    told = story(stored, 999)

    assert told["state"] == "future"
    assert "its last message is 300" in told["summary"]


def test_unread_and_half_stored_messages_are_told(lane: TestLane) -> None:
    """A message that no path or only one has stored is told so."""
    provision(lane)
    lane.publish(payloads(5))
    assert story(lane, 3)["state"] == "unread"

    store(lane, 5, "hot")
    told = story(lane, 3)
    assert told["state"] == "under way"
    assert "the lake path has not stored it yet" in told["summary"]
    assert told["hot"]["state"] == "done"
    assert told["lake"]["state"] == "unread"


def test_holes_and_aged_out_sequences_are_told(stored: TestLane) -> None:
    """A deleted message is a hole, one before the stream's first has aged out."""

    async def remove(link: NatsLink) -> None:
        await link.js.delete_msg(stored.stream, 120)
        await link.js.purge_stream(stored.stream, seq=40)

    stored.run_async(remove)

    hole, aged = story(stored, 120), story(stored, 7)
    assert hole["state"] == "hole"
    assert aged["state"] == "aged out"
    assert "begins at 40" in aged["summary"]
    assert len(aged["hot"]["rows"]) == len(aged["lake"]["rows"]) == 1


def test_a_row_that_is_gone_is_told(stored: TestLane, clickhouse: Client) -> None:
    """A message on record as stored whose row is missing sends the reader to verify."""
    clickhouse.command(
        f"ALTER TABLE {stored.table} DELETE WHERE _seq = 20", settings={"mutations_sync": 2}
    )

    told = story(stored, 20)

    assert told["state"] == "wrong"
    assert "ClickHouse holds no rows, Iceberg 1 row; run `ingest verify`" in told["summary"]


def test_the_command_prints_one_sentence_first(stored: TestLane) -> None:
    """The text output starts with the sentence."""
    done = stored.ingest("explain", "50")

    assert done.stdout.splitlines()[0] == (
        "sequence 50 was refused (invalid_json); it has no row and lies in the DLQ."
    )
    assert "dead letter" in done.stdout
