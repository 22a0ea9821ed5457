"""The ledger: only what is new is read, and what has aged out stays proven."""

from __future__ import annotations

import asyncio

import pytest
from clickhouse_connect.driver.client import Client

from ingest.ledger import Ledger, LedgerConflictError, LedgerEntry
from ingest.nats_link import NatsLink
from ingest.proof.chain import summary_chain
from ingest.verify import VerifyOptions, verify
from tests.integration.proof.scenario import MESSAGES, NoProgress, found, payloads, proof, store
from tests.support.lane import TestLane

SYNC = {"mutations_sync": 2}


def entries(lane: TestLane) -> list[LedgerEntry]:
    """The lane's ledger."""

    async def read(link: NatsLink) -> list[LedgerEntry]:
        return await Ledger(link, lane.stream).entries()

    return lane.run_async(read)


def age_out(lane: TestLane, first: int) -> None:
    """Removes everything before ``first`` from the stream, as retention does."""

    async def work(link: NatsLink) -> None:
        await link.js.purge_stream(lane.stream, seq=first)

    lane.run_async(work)


def more(lane: TestLane) -> None:
    """Publishes and stores as many messages again."""
    lane.publish(payloads())
    store(lane, 2 * MESSAGES)


class Counting(NoProgress):
    """Counts the sequences that were read."""

    read = 0

    def advance(self, sequences: int) -> None:
        """Adds to the count."""
        self.read += sequences


def test_a_later_run_reads_only_what_is_new(stored: TestLane) -> None:
    """The second run begins where the first one ended, and the entries form a chain."""
    proof(stored)
    more(stored)

    progress = Counting()
    report = asyncio.run(verify(stored.settings, VerifyOptions(), progress))

    assert report.proven
    assert progress.read == MESSAGES
    assert [(one.first, one.last, one.rows) for one in entries(stored)] == [
        (1, 300, 299),
        (301, 600, 299),
    ]
    assert proof(stored)["parts"] == []


def test_nothing_is_recorded_that_does_not_hold(stored: TestLane, clickhouse: Client) -> None:
    """A range with a missing row is compared again by the next run, until it holds."""
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 20", settings=SYNC)

    assert not proof(stored)["proven"]
    assert entries(stored) == []
    assert not proof(stored)["proven"]


def test_what_a_person_accepts_goes_on_record(stored: TestLane, clickhouse: Client) -> None:
    """--accept puts a difference on record; later runs go on after it and still tell it."""
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 20", settings=SYNC)

    assert not proof(stored, accept=True)["proven"]

    assert entries(stored)[0].unproven == ("clickhouse: missing sequence 20",)
    assert proof(stored)["proven"]
    report = proof(stored, full=True)
    assert report["proven"]
    assert "on record as unproven (clickhouse: missing sequence 20)" in report["notes"][0]


def test_a_run_may_end_early(stored: TestLane) -> None:
    """--upto closes the range before what the sinks have reached."""
    assert proof(stored, upto=120)["parts"][0]["last"] == 120
    assert proof(stored)["parts"][0]["first"] == 121


def test_what_has_aged_out_stays_proven(stored: TestLane) -> None:
    """--full holds the sinks against the ledger where the stream has nothing any more."""
    proof(stored)
    more(stored)
    proof(stored)
    age_out(stored, 451)

    report = proof(stored, full=True)

    assert report["proven"], report["findings"]
    assert [part["kind"] for part in report["parts"]] == ["ledger"]
    assert report["rows"] == 598


def test_damage_to_what_has_aged_out_is_named(stored: TestLane, clickhouse: Client) -> None:
    """Without the stream, the sink that still agrees with the ledger names the sequences."""
    proof(stored)
    more(stored)
    age_out(stored, 301)
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 20", settings=SYNC)
    clickhouse.command(
        f"ALTER TABLE {stored.table} UPDATE unit = 'x' WHERE _seq = 30", settings=SYNC
    )

    assert proof(stored, ledger=False)["proven"]
    report = proof(stored, full=True)

    assert found(report) == {("clickhouse", "missing", (20,)), ("clickhouse", "changed", (30,))}
    assert [part["kind"] for part in report["parts"]] == ["ledger", "stream"]


def test_what_aged_out_unproven_is_said(stored: TestLane) -> None:
    """Sequences that nobody proved in time are not proven, even when the sinks agree."""
    age_out(stored, 101)

    report = proof(stored)

    assert found(report) == {("stream", "unproven", tuple(range(1, 101)))}
    assert "both sinks hold the same" in report["findings"][0]["detail"]
    assert not report["proven"]
    assert not proof(stored, accept=True)["proven"]
    assert proof(stored, full=True)["proven"]


def test_two_runs_do_not_both_write(stored: TestLane) -> None:
    """An entry is appended only after the one that was read last."""
    proof(stored)

    async def append_twice(link: NatsLink) -> None:
        ledger = Ledger(link, stored.stream)
        newest = await ledger.last()
        assert newest is not None
        entry = newest.entry
        follower = LedgerEntry(**{**_fields(entry), "first": 301, "last": 310})
        await ledger.append(follower, newest)
        assert (await ledger.append(follower, newest)).entry == follower
        with pytest.raises(LedgerConflictError):
            await ledger.append(LedgerEntry(**{**_fields(entry), "first": 301, "last": 9}), newest)

    stored.run_async(append_twice)
    assert [one.last for one in entries(stored)] == [300, 310]


def test_commit_summaries_chain(stored: TestLane) -> None:
    """The cheap check holds over commits, and sees a rollback."""
    more(stored)
    table = stored.lake_table()

    assert summary_chain(table, stored.stream).holds

    first = table.snapshots()[0].snapshot_id
    table.manage_snapshots().rollback_to_snapshot(first).commit()
    report = summary_chain(stored.lake_table(), stored.stream)
    assert len(report.breaks) == 1
    assert "but the watermark is" in report.breaks[0]


def _fields(entry: LedgerEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}
