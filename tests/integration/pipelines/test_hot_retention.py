"""A day leaves the hot table only when it is old, proven and in the lake."""

from __future__ import annotations

import time

import msgspec
import pytest

from ingest.proof.iceberg_side import iceberg_side
from pipelines.hot_retention import Verdict, retire
from pipelines.rehydration_record import FORMAT, Rehydration, RehydrationRecords
from pipelines.storage_days import partitions
from tests.integration.pipelines.later import DAYS, set_clock
from tests.integration.proof.scenario import MESSAGES, payloads, proof, provision, store
from tests.support.lane import TestLane

DAY_US = 86_400_000_000


def retire_all(lane: TestLane, *, dry_run: bool = False) -> list[Verdict]:
    """What becomes of every day of the lane's hot table."""
    client = lane.clickhouse()
    try:
        return [
            retire(lane.settings, client, lane.contract, day, iceberg_side, dry_run=dry_run)
            for day in partitions(client, lane.contract)
        ]
    finally:
        client.close()


def change(lane: TestLane, statement: str) -> None:
    """Changes the hot table behind everybody's back."""
    client = lane.clickhouse()
    try:
        client.command(statement, settings={"mutations_sync": 2})
    finally:
        client.close()


def test_an_old_proven_day_is_dropped_and_stays_proven(aged: TestLane) -> None:
    """The day goes; verify still proves all of it, and a new hot writer starts and goes on."""
    (kept,) = retire_all(aged, dry_run=True)
    assert kept.dropped
    assert len(aged.hot_rows()) == MESSAGES - 1

    (verdict,) = retire_all(aged)

    assert verdict.dropped
    assert aged.hot_rows() == []
    report = proof(aged, full=True)
    assert report["proven"], report["findings"]
    aged.publish(payloads())
    store(aged, 2 * MESSAGES)
    assert {sequence for sequence, _ in aged.hot_rows()} <= set(range(301, 601))
    assert len(aged.hot_rows()) == MESSAGES - 1
    assert proof(aged, full=True)["proven"]


def test_without_a_retention_everything_is_kept(aged: TestLane) -> None:
    """0 keeps all days, whatever their age."""
    aged.overrides["IOT_HOT__RETENTION_DAYS"] = "0"

    (verdict,) = retire_all(aged)

    assert not verdict.dropped
    assert "IOT_HOT__RETENTION_DAYS" in verdict.why


def test_a_young_day_is_kept(aged: TestLane) -> None:
    """A day whose last row may be younger than the retention is kept, with its age."""
    aged.overrides["IOT_HOT__RETENTION_DAYS"] = str(DAYS)

    (verdict,) = retire_all(aged)

    assert not verdict.dropped
    assert f"{DAYS} are kept" in verdict.why


def test_a_day_that_is_not_proven_is_kept(lane: TestLane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old, in both sinks and equal, but no run of the proof has said so: kept, with the range."""
    lane.overrides["IOT_HOT__RETENTION_DAYS"] = "2"
    provision(lane)
    lane.publish(payloads())
    store(lane, MESSAGES)
    assert proof(lane, upto=120)["proven"]
    set_clock(monkeypatch)

    (verdict,) = retire_all(lane)

    assert not verdict.dropped
    assert "sequences 121-300" in verdict.why
    assert "not proven" in verdict.why


def test_a_day_that_the_lake_lost_is_kept(aged: TestLane) -> None:
    """Proven once, but rows have gone from the lake since: kept, with both counts."""
    aged.lake_table().delete("_seq = 7")

    (verdict,) = retire_all(aged)

    assert not verdict.dropped
    assert "298 rows there, 299 in the hot table" in verdict.why


def test_a_day_with_rows_of_another_lane_is_kept(aged: TestLane) -> None:
    """The contract's proof says nothing of another lane's rows."""
    change(
        aged,
        f"INSERT INTO {aged.table} SELECT * REPLACE('OTHER' AS _lane) FROM {aged.table}"
        " WHERE _seq = 1",
    )

    (verdict,) = retire_all(aged)

    assert not verdict.dropped
    assert "lane OTHER" in verdict.why


def test_a_day_is_kept_while_the_hot_path_may_still_write_it(aged: TestLane) -> None:
    """Messages of the day that the hot path has not read keep it."""
    aged.publish(aged.readings(5))

    (verdict,) = retire_all(aged)

    assert not verdict.dropped
    assert "sequence 300 of 305" in verdict.why


def test_a_rehydrated_day_is_kept_for_its_time(aged: TestLane) -> None:
    """A day that was brought back stays until its time is over, and one half-way stays as well."""
    client = aged.clickhouse()
    (day,) = partitions(client, aged.contract)
    client.close()
    records = RehydrationRecords(aged.settings, aged.stream)
    later_us = time.time_ns() // 1000 + DAY_US
    record = Rehydration(FORMAT, "test", kept_until_us=later_us)
    revision = records.write(day.day, record, 0)
    assert "kept until" in retire_all(aged)[0].why

    pending = msgspec.structs.replace(record, pending="a block", kept_until_us=0)
    revision = records.write(day.day, pending, revision)
    assert "half-way" in retire_all(aged)[0].why

    over = msgspec.structs.replace(record, kept_until_us=later_us - 2 * DAY_US)
    records.write(day.day, over, revision)
    assert retire_all(aged)[0].dropped
