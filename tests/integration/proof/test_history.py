"""The proof over epochs, contract versions and holes."""

from __future__ import annotations

import asyncio

import pytest
from clickhouse_connect.driver.client import Client

from ingest.nats_link import NatsLink
from ingest.schema_apply import apply
from tests.integration.proof.scenario import MESSAGES, found, payloads, proof, provision, store
from tests.support.lane import TestLane, reading


def made_anew(lane: TestLane, messages: int) -> None:
    """Deletes the stream, makes it again and stores new messages from sequence 1 on."""

    async def delete(link: NatsLink) -> None:
        await link.js.delete_stream(lane.stream)

    entry = lane.hot_entry()
    assert entry is not None
    lane.run_async(delete)
    provision(lane)
    lane.publish(payloads(messages))
    store(lane, messages, leaving=entry.done.epoch)


def test_a_stream_made_anew_goes_on_in_the_ledger(stored: TestLane) -> None:
    """What was proven before stays proven without its stream, under its own epoch."""
    proof(stored)
    made_anew(stored, 60)

    report = proof(stored)
    assert report["findings"] == []
    assert [(part["first"], part["last"]) for part in report["parts"]] == [(1, 60)]

    report = proof(stored, full=True)
    assert report["findings"] == []
    assert [part["kind"] for part in report["parts"]] == ["ledger", "stream"]
    assert len({part["epoch"] for part in report["parts"]}) == 2


@pytest.mark.chaos
def test_a_tail_that_nobody_proved_is_said(stored: TestLane, clickhouse: Client) -> None:
    """Rows of a history that is gone are unproven, and the sinks are held against each other."""
    proof(stored, upto=250)
    made_anew(stored, 60)

    report = proof(stored, ledger=False)
    assert found(report) == {("stream", "unproven", tuple(range(251, 301)))}
    assert "both sinks hold the same" in report["findings"][0]["detail"]

    clickhouse.command(
        f"ALTER TABLE {stored.table} DELETE WHERE _seq = 290", settings={"mutations_sync": 2}
    )
    assert "the sinks differ" in proof(stored, accept=True)["findings"][0]["detail"]
    assert proof(stored)["proven"]
    assert proof(stored, full=True)["proven"]


@pytest.mark.chaos
def test_holes_are_counted(lane: TestLane) -> None:
    """Messages deleted before they were read are holes on all sides."""
    provision(lane)
    lane.publish(payloads())

    async def delete(link: NatsLink) -> None:
        for sequence in (7, 8, 9, 50):
            await link.js.delete_msg(lane.stream, sequence)

    lane.run_async(delete)
    store(lane, MESSAGES)

    report = proof(lane)

    assert report["findings"] == []
    assert report["parts"][0]["holes"] == 4
    assert report["parts"][0]["refused"] == 2


@pytest.mark.chaos
def test_a_message_deleted_after_it_was_stored_is_named(stored: TestLane) -> None:
    """Rows that the stream no longer has a message for are extra in both sinks."""

    async def delete(link: NatsLink) -> None:
        await link.js.delete_msg(stored.stream, 20)

    stored.run_async(delete)

    assert found(proof(stored)) == {
        ("clickhouse", "extra", (20,)),
        ("iceberg", "extra", (20,)),
    }


def test_each_contract_version_is_proven_by_its_own_columns(stored: TestLane) -> None:
    """A column added later leaves what was proven before, with the stream and without it."""
    proof(stored)
    text = stored.contract_file.read_text(encoding="utf-8")
    column = '\n[[columns]]\nname = "battery"\ntype = "float32"\n'
    stored.contract_file.write_text(text + column, encoding="utf-8")
    asyncio.run(apply(stored.settings))
    stored.publish([reading(number, battery=3.7) for number in range(20)])
    store(stored, MESSAGES + 20)

    report = proof(stored)
    assert report["findings"] == []
    assert [part["contract_version"] for part in report["parts"]] == [2]

    report = proof(stored, full=True)
    assert report["findings"] == []
    assert [part["contract_version"] for part in report["parts"]] == [1, 2]


@pytest.mark.chaos
def test_a_value_where_none_can_be_is_a_change(stored: TestLane, clickhouse: Client) -> None:
    """A later column that got a value in an older row is found."""
    test_each_contract_version_is_proven_by_its_own_columns(stored)
    clickhouse.command(
        f"ALTER TABLE {stored.table} UPDATE battery = 1 WHERE _seq = 20",
        settings={"mutations_sync": 2},
    )

    report = proof(stored, full=True)

    assert found(report) == {("clickhouse", "changed", (20,))}
    assert report["findings"][0]["detail"] == "column of sequence 20: battery"
