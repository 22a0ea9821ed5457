"""A sink or a record is restored from an older copy: the writer stops and says what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingest.catalog import connect as connect_catalog
from ingest.errors import EXIT_TERMINAL
from tests.support.chaos import ended, rows
from tests.support.history import put_record, read_record
from tests.support.lane import TestLane

MESSAGES = 1_000


def _fill(lane: TestLane, path: str) -> None:
    lane.init()
    lane.publish(lane.readings(MESSAGES))
    writer = lane.start(path)
    if path == "hot":
        lane.wait_hot(MESSAGES)
    else:
        lane.wait_lake(MESSAGES)
    assert writer.drain() == 0


def _command(lane: TestLane, text: str) -> None:
    client = lane.clickhouse()
    try:
        client.command(text.format(table=lane.table))
    finally:
        client.close()


def _forget_entry(lane: TestLane) -> None:
    async def work(link: object) -> None:
        await (await link.js.key_value("ingest")).purge(f"hot.{lane.stream}")  # type: ignore[attr-defined]

    lane.run_async(work)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            lambda lane: _command(lane, "TRUNCATE TABLE {table}"), marks=pytest.mark.short
        ),
        lambda lane: _command(lane, "ALTER TABLE {table} DROP PARTITION ALL"),
        lambda lane: _command(
            lane, "ALTER TABLE {table} DELETE WHERE _seq > 900 SETTINGS mutations_sync = 1"
        ),
        _forget_entry,
    ],
    ids=["truncated", "partition dropped", "last rows deleted", "entry lost"],
)
def test_the_hot_path_stops_when_sink_and_record_disagree(
    lane: TestLane, damage: Callable[[TestLane], None]
) -> None:
    """Exit 3 with the sequence and `ingest repair hot`; not one row is stored on the wrong base."""
    _fill(lane, "hot")
    damage(lane)
    before = lane.hot_rows()
    lane.publish(lane.readings(10, start=MESSAGES))
    code, problem = ended(lane.start("hot"))
    assert code == EXIT_TERMINAL
    assert "ingest repair hot" in problem
    assert "1000" in problem
    assert lane.hot_rows() == before


def test_an_older_hot_entry_is_noticed(lane: TestLane) -> None:
    """Rows beyond the record: exit 3, and they are not stored a second time."""
    _fill(lane, "hot")
    older = read_record(lane, f"hot.{lane.stream}")
    lane.publish(lane.readings(500, start=MESSAGES))
    hot = lane.start("hot")
    lane.wait_hot(MESSAGES + 500)
    assert hot.drain() == 0
    put_record(lane, f"hot.{lane.stream}", older)
    code, problem = ended(lane.start("hot"))
    assert code == EXIT_TERMINAL
    assert "1500" in problem
    assert "ingest repair hot" in problem
    assert lane.hot_rows() == rows(1, MESSAGES + 500)


@pytest.mark.short
def test_a_writer_whose_entry_is_replaced_is_fenced(lane: TestLane) -> None:
    """An entry restored under a running writer ends it before it writes again."""
    _fill(lane, "hot")
    older = read_record(lane, f"hot.{lane.stream}")
    hot = lane.start("hot")
    lane.publish(lane.readings(500, start=MESSAGES))
    lane.wait_hot(MESSAGES + 500)
    put_record(lane, f"hot.{lane.stream}", older)
    lane.publish(lane.readings(500, start=MESSAGES + 500))
    code, problem = ended(hot)
    assert code == 4
    assert "restored" in problem
    assert lane.hot_rows() == rows(1, MESSAGES + 500)


@pytest.mark.parametrize("running", [pytest.param(False, marks=pytest.mark.short), True])
def test_a_lake_rolled_back_to_an_earlier_snapshot_is_noticed(
    lane: TestLane, running: bool
) -> None:
    """Exit 3 with the advice, at a start and under a running writer; nothing is committed on it."""
    _fill(lane, "lake")
    lake = lane.start("lake")
    lane.publish(lane.readings(500, start=MESSAGES))
    lane.wait_lake(MESSAGES + 500)
    if not running:
        assert lake.drain() == 0
    _roll_back(lane)
    lane.publish(lane.readings(10, start=MESSAGES + 500))
    if not running:
        lake = lane.start("lake")
    code, problem = ended(lake)
    assert code == EXIT_TERMINAL
    assert "ingest repair lake" in problem
    assert lane.lake_rows() == rows(1, MESSAGES)


def test_a_lake_watermark_set_back_is_noticed(lane: TestLane) -> None:
    """The property restored older than the data: exit 3, and no row is committed again."""
    _fill(lane, "lake")
    older = lane.lake_table().properties
    lake = lane.start("lake")
    lane.publish(lane.readings(500, start=MESSAGES))
    lane.wait_lake(MESSAGES + 500)
    assert lake.drain() == 0
    ours = {name: value for name, value in older.items() if name.endswith(lane.stream)}
    with lane.lake_table().transaction() as transaction:
        transaction.set_properties(ours)
    code, problem = ended(lane.start("lake"))
    assert code == EXIT_TERMINAL
    assert "ingest repair lake" in problem
    assert lane.lake_rows() == rows(1, MESSAGES + 500)


def _roll_back(lane: TestLane) -> None:
    catalog = connect_catalog(lane.settings)
    table = catalog.load_table((lane.contract.namespace, lane.contract.table))
    current = table.current_snapshot()
    assert current is not None
    earlier = next(
        one
        for one in reversed(table.snapshots())
        if one.summary is not None and one.summary["ingest.last"] == str(MESSAGES)
    )
    table.manage_snapshots().rollback_to_snapshot(earlier.snapshot_id).commit()
