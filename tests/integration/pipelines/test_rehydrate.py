"""A dropped day comes back exactly once, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.proof.iceberg_side import iceberg_side
from pipelines.errors import DayStillWritten, RowsDiffer
from pipelines.guard import open_guard
from pipelines.hot_retention import retire
from pipelines.rehydrate import Extent, Rehydrated, rehydrate
from pipelines.rehydration_record import FORMAT, Rehydration, RehydrationRecords
from pipelines.settings import BudgetSettings
from pipelines.storage_days import HotDay, partitions
from tests.integration.pipelines.later import DAYS
from tests.integration.proof.scenario import MESSAGES, proof, store
from tests.support.lane import ROOT, TestLane
from tests.support.waiting import until

ROWS = MESSAGES - 1
BUDGET = BudgetSettings(
    sample_every_s=0.05,
    learn_s=0.2,
    quiet_s=0.1,
    rest_s=0.0,
    window_s=1.0,
    stale_after_s=10.0,
    cpu_busy_max=2.0,
)
SLOW = """
import sys, time
from pathlib import Path
from pipelines.guard import open_guard
from pipelines.rehydrate import Extent, rehydrate
from pipelines.settings import BudgetSettings
from ingest.contract import load_contract
from ingest.settings import load_settings
from datetime import date

real = time.time_ns
time.time_ns = lambda: real() + {days} * 86_400 * 10**9
settings = load_settings(Path("."))
contract = load_contract(settings.contract)
budget = BudgetSettings.model_validate_json({budget!r})
extent = Extent(date.fromisoformat({day!r}), block_rows=2, keep_days=7, give_up_after_s=60)
folder = Path({folder!r})
folder.mkdir()
rehydrate(settings, contract, open_guard(settings, budget, [contract.stream]), extent, folder)
"""


def day_of(lane: TestLane) -> HotDay:
    """The one day that the hot table holds."""
    client = lane.clickhouse()
    try:
        (day,) = partitions(client, lane.contract)
        return day
    finally:
        client.close()


def drop(lane: TestLane) -> HotDay:
    """Lets retention drop the lane's day."""
    day = day_of(lane)
    client = lane.clickhouse()
    try:
        verdict = retire(lane.settings, client, lane.contract, day, iceberg_side, dry_run=False)
    finally:
        client.close()
    assert verdict.dropped, verdict.why
    assert lane.hot_rows() == []
    return day


def bring_back(lane: TestLane, day: HotDay, folder: Path, block_rows: int = 50) -> Rehydrated:
    """One run of the rehydration."""
    folder.mkdir(parents=True)
    guard = open_guard(lane.settings, BUDGET, [lane.stream])
    extent = Extent(day.day, block_rows, keep_days=7, give_up_after_s=60)
    return rehydrate(lane.settings, lane.contract, guard, extent, folder)


def everything(lane: TestLane) -> str:
    """All rows of the hot table as text."""
    client = lane.clickhouse()
    try:
        names = ", ".join(column.name for column in lane.contract.columns)
        found = client.query(
            f"SELECT {names}, _seq, _idx, _lane, _epoch, toUnixTimestamp64Micro(_stored_at)"
            f" FROM {lane.table} ORDER BY _seq, _idx"
        ).result_rows
        return json.dumps(found, default=str)
    finally:
        client.close()


def test_a_dropped_day_comes_back_as_it_was(aged: TestLane, tmp_path: Path) -> None:
    """Same rows, proven by the ledger's fingerprints; again adds nothing; then it is kept."""
    before = everything(aged)
    day = drop(aged)

    done = bring_back(aged, day, tmp_path / "first")

    assert (done.rows, done.inserted, done.blocks, done.proven) == (ROWS, ROWS, 6, 1)
    assert everything(aged) == before
    aged.overrides["IOT_HOT__RETENTION_DAYS"] = "0"
    assert proof(aged, full=True)["proven"]
    aged.overrides["IOT_HOT__RETENTION_DAYS"] = "2"

    again = bring_back(aged, day, tmp_path / "second", block_rows=70)

    assert (again.rows, again.inserted, again.blocks) == (ROWS, 0, 0)
    assert everything(aged) == before
    client = aged.clickhouse()
    verdict = retire(aged.settings, client, aged.contract, day, iceberg_side, dry_run=False)
    client.close()
    assert not verdict.dropped
    assert "rehydrated" in verdict.why


def test_a_day_dropped_again_comes_back_again(aged: TestLane, tmp_path: Path) -> None:
    """ClickHouse's memory of tokens does not swallow the rows the second time."""
    before = everything(aged)
    day = drop(aged)
    bring_back(aged, day, tmp_path / "first")
    client = aged.clickhouse()
    client.command(f"ALTER TABLE {aged.table} DELETE WHERE 1", settings={"mutations_sync": 2})
    client.close()
    assert aged.hot_rows() == []

    bring_back(aged, day, tmp_path / "second")

    assert everything(aged) == before


def test_missing_rows_alone_are_filled_in(aged: TestLane, tmp_path: Path) -> None:
    """Rows that are there stay; only what is missing is inserted."""
    before = everything(aged)
    day = day_of(aged)
    client = aged.clickhouse()
    client.command(
        f"ALTER TABLE {aged.table} DELETE WHERE _seq IN (3, 99, 100)",
        settings={"mutations_sync": 2},
    )
    client.close()

    done = bring_back(aged, day, tmp_path / "day")

    assert done.inserted == 5
    assert everything(aged) == before


@pytest.mark.chaos
def test_a_killed_rehydration_goes_on_exactly(aged: TestLane, tmp_path: Path) -> None:
    """SIGKILL in the middle, then a second run: every row once, and the kill's insert awaited."""
    before = everything(aged)
    day = drop(aged)
    program = SLOW.format(
        days=DAYS,
        budget=BUDGET.model_dump_json(),
        day=day.day.isoformat(),
        folder=str(tmp_path / "killed"),
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=aged.folder, env={**aged.env, "PYTHONPATH": str(ROOT)}
    ) as process:
        try:
            until(lambda: len(aged.hot_rows()) >= 20 or process.poll() is not None, "20 rows", 60)
            os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
        assert process.wait(10) == -signal.SIGKILL
    assert 20 <= len(aged.hot_rows()) < ROWS

    done = bring_back(aged, day, tmp_path / "resumed")

    assert done.waited_s > 0
    assert 0 < done.inserted < ROWS
    assert everything(aged) == before
    assert len(aged.hot_rows()) == len(set(aged.hot_rows())) == ROWS


def test_other_rows_in_the_hot_table_end_the_run(aged: TestLane, tmp_path: Path) -> None:
    """A row that differs from the lake's is named, and nothing of its block is inserted."""
    day = day_of(aged)
    client = aged.clickhouse()
    mutation = {"mutations_sync": 2}
    client.command(f"ALTER TABLE {aged.table} DELETE WHERE _seq = 11", settings=mutation)
    client.command(f"ALTER TABLE {aged.table} UPDATE unit = 'K' WHERE _seq = 10", settings=mutation)
    client.close()

    with pytest.raises(RowsDiffer, match="sequence 10"):
        bring_back(aged, day, tmp_path / "day")

    assert len(aged.hot_rows()) == ROWS - 1


def test_a_lake_with_a_row_twice_ends_the_run(aged: TestLane, tmp_path: Path) -> None:
    """Doubled rows of the lake are not carried over."""
    day = drop(aged)
    table = aged.lake_table()
    table.append(table.scan(row_filter="_seq = 5").to_arrow())

    with pytest.raises(RowsDiffer, match="twice"):
        bring_back(aged, day, tmp_path / "day")

    assert aged.hot_rows() == []


def test_a_day_that_is_still_written_waits(aged: TestLane, tmp_path: Path) -> None:
    """While the hot path has unread messages of the day, nothing is brought back."""
    day = drop(aged)
    aged.publish(aged.readings(1))

    with pytest.raises(DayStillWritten, match="sequence 300 of 301"):
        bring_back(aged, day, tmp_path / "day")


def test_a_lake_that_lags_is_waited_for(aged: TestLane, tmp_path: Path) -> None:
    """A day that the lake does not hold to its end is not brought back in part."""
    day = day_of(aged)
    aged.publish(aged.readings(3))
    store(aged, MESSAGES + 3, "hot")

    with pytest.raises(DayStillWritten, match="lake path is at sequence 300 of 303"):
        bring_back(aged, day, tmp_path / "day")


def test_the_older_of_two_runs_cannot_go_on(aged: TestLane) -> None:
    """A record that another run changed since is not written over."""
    day = day_of(aged)
    records = RehydrationRecords(aged.settings, aged.stream)
    first = records.write(day.day, Rehydration(FORMAT, "older"), 0)
    records.write(day.day, Rehydration(FORMAT, "newer"), first)

    with pytest.raises(DayStillWritten, match="another run"):
        records.write(day.day, Rehydration(FORMAT, "older", pending="a block"), first)
