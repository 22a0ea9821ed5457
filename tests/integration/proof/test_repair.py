"""A sink that lost rows is made whole from the stream; the proof says so, and writers go on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from ingest.errors import SinkBehindRecordError
from ingest.kept import LEASE_BUCKET, open_bucket
from ingest.nats_link import NatsLink
from ingest.repair import PathName, RepairReport, WriterActiveError, repair
from tests.integration.proof.scenario import MESSAGES, found, payloads, proof, provision, store
from tests.support.lane import TestLane, reading

HALF = MESSAGES // 2
SYNC = {"mutations_sync": 2}


def mend(lane: TestLane, path: PathName, *, dry_run: bool = False) -> RepairReport:
    """Runs the repair with a short settling time."""
    return asyncio.run(repair(lane.settings, path, dry_run=dry_run))


@pytest.fixture
def stored(lane: TestLane) -> TestLane:
    """Stored in two halves, with short times of settling."""
    lane.overrides["IOT_HOT__INSERT_DEADLINE_S"] = "0.5"
    provision(lane)
    sent = payloads()
    lane.publish(sent[:HALF])
    store(lane, HALF)
    lane.folder.joinpath("entry").write_bytes(kept_entry(lane))
    lane.publish(sent[HALF:])
    store(lane, MESSAGES)
    return lane


def kept_entry(lane: TestLane) -> bytes:
    """The hot path's entry as it is kept."""

    async def read(link: NatsLink) -> bytes:
        kept = await (await open_bucket(link)).read(f"hot.{lane.stream}")
        assert kept is not None
        return kept.value

    return lane.run_async(read)


def goes_on(lane: TestLane) -> None:
    """Both writers start and store one message more, and all is proven."""
    lane.publish([reading(5000)])
    store(lane, MESSAGES + 1)
    report = proof(lane, full=True)
    assert report["findings"] == []
    assert report["parts"][-1]["last"] == MESSAGES + 1


@pytest.mark.chaos
def test_an_emptied_table_is_filled_again(stored: TestLane, clickhouse: Client) -> None:
    """After TRUNCATE the writer stops with advice; the repair stores every row again."""
    clickhouse.command(f"TRUNCATE TABLE {stored.table}")
    with pytest.raises(SinkBehindRecordError, match="ingest repair hot"):
        store(stored, MESSAGES, "hot")

    report = mend(stored, "hot")

    assert report.rows == 299
    assert report.other == []
    goes_on(stored)


@pytest.mark.chaos
def test_a_dropped_partition_is_filled_again(stored: TestLane, clickhouse: Client) -> None:
    """DROP PARTITION loses one day; the repair brings it back."""
    day = clickhouse.query(f"SELECT toString(toDate(max(_stored_at))) FROM {stored.table}")
    clickhouse.command(f"ALTER TABLE {stored.table} DROP PARTITION '{day.result_rows[0][0]}'")

    mend(stored, "hot")

    goes_on(stored)


@pytest.mark.chaos
def test_a_restored_older_copy_gets_what_it_lacks(stored: TestLane, clickhouse: Client) -> None:
    """A table without its newest rows and with a gap gets exactly those, and part of a message."""
    where = "_seq > 250 OR _seq BETWEEN 20 AND 22 OR (_seq = 100 AND _idx = 1)"
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE {where}", settings=SYNC)

    rehearsal = mend(stored, "hot", dry_run=True)
    assert (rehearsal.rows, rehearsal.position) == (54, rehearsal.position_before)
    assert ("clickhouse", "missing", (20, 21, 22, 100, *range(251, 301))) in found(
        proof(stored, ledger=False)
    )
    report = mend(stored, "hot")

    assert report.rows == 54
    assert sorted(report.missing) == [20, 21, 22, 100, *range(251, 301)]
    goes_on(stored)


@pytest.mark.chaos
def test_doubled_and_changed_rows_are_reported(stored: TestLane, clickhouse: Client) -> None:
    """The repair removes nothing: a person decides about doubled and changed rows."""
    table = stored.table
    clickhouse.command(f"ALTER TABLE {table} UPDATE value = 9 WHERE _seq = 10", settings=SYNC)
    clickhouse.command(f"INSERT INTO {table} SELECT * FROM {table} WHERE _seq = 30")

    report = mend(stored, "hot")

    assert report.rows == 0
    assert [str(one) for one in report.other] == [
        "hot: doubled sequence 30",
        "hot: changed sequence 10",
    ]
    assert len(stored.hot_rows()) == 300


@pytest.mark.chaos
@pytest.mark.parametrize("loss", ["lost", "older"])
def test_a_lost_or_older_entry_is_set_right(stored: TestLane, loss: str) -> None:
    """An entry that is gone or behind the rows is rebuilt; nothing is stored twice."""

    async def lose(link: NatsLink) -> None:
        bucket = await open_bucket(link)
        key = f"hot.{stored.stream}"
        kept = await bucket.read(key)
        assert kept is not None
        if loss == "lost":
            await bucket.delete(key)
        else:
            older = stored.folder.joinpath("entry").read_bytes()
            await bucket.compare_and_set(key, older, kept.revision)

    stored.run_async(lose)
    with pytest.raises(SinkBehindRecordError):
        store(stored, MESSAGES, "hot")

    assert mend(stored, "hot").rows == 0

    goes_on(stored)


def test_a_rolled_back_iceberg_table_is_made_whole(stored: TestLane) -> None:
    """After a rollback the writer stops with advice; the repair commits the lost rows again."""
    table = stored.lake_table()
    first = table.snapshots()[0].snapshot_id
    table.manage_snapshots().rollback_to_snapshot(first).commit()
    with pytest.raises(SinkBehindRecordError, match="ingest repair lake"):
        store(stored, MESSAGES, "lake")
    before = len(stored.lake_rows())

    report = mend(stored, "lake")

    assert 0 < report.rows == 299 - before
    goes_on(stored)


def test_rows_deleted_from_iceberg_come_back(stored: TestLane) -> None:
    """Rows deleted in the middle are committed again; the watermark stays."""
    stored.lake_table().delete("_seq >= 20 and _seq <= 22")

    rehearsal = mend(stored, "lake", dry_run=True)
    report = mend(stored, "lake")

    assert rehearsal.rows == report.rows == 3
    assert report.position == report.position_before
    assert mend(stored, "lake").rows == 0
    goes_on(stored)


@pytest.mark.chaos
def test_a_lost_watermark_is_set_right(stored: TestLane) -> None:
    """A table whose properties were rolled back gets its watermark from its rows."""
    table = stored.lake_table()
    with table.transaction() as transaction:
        transaction.remove_properties(f"watermark.{stored.stream}")
    with pytest.raises(SinkBehindRecordError):
        store(stored, MESSAGES, "lake")

    report = mend(stored, "lake")

    assert (report.rows, report.position_before) == (0, "none")
    goes_on(stored)


@pytest.mark.chaos
def test_what_has_aged_out_is_told(stored: TestLane, clickhouse: Client) -> None:
    """Rows whose messages the stream no longer holds cannot be repaired, and that is said."""
    clickhouse.command(f"TRUNCATE TABLE {stored.table}")

    async def age(link: NatsLink) -> None:
        await link.js.purge_stream(stored.stream, seq=101)

    stored.run_async(age)
    report = mend(stored, "hot")

    assert [(one.first, one.last) for one in report.aged_out] == [(1, 100)]
    assert {seq for seq, _ in stored.hot_rows()} == set(range(101, 301)) - {200}


def test_a_path_with_a_writer_is_not_repaired(stored: TestLane) -> None:
    """The lease of a running writer is respected."""

    async def hold(link: NatsLink) -> None:
        leases = await open_bucket(link, LEASE_BUCKET)
        await leases.compare_and_set(f"hot.{stored.stream}", b"somebody", 0)

    stored.run_async(hold)

    with pytest.raises(WriterActiveError, match="somebody holds the hot path"):
        mend(stored, "hot")


def test_the_command_tells_what_it_did(stored: TestLane, clickhouse: Client) -> None:
    """Text and JSON name the missing sequences and the position."""
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 20", settings=SYNC)

    done = stored.ingest("repair", "hot", "--dry-run")
    assert "1 missing rows would be stored: sequences 20" in done.stdout
    done = stored.ingest("repair", "hot", "--output", "json")

    report: dict[str, Any] = json.loads(done.stdout)
    assert report["rows_stored"] == 1
    assert report["missing"] == [[20, 20]]
