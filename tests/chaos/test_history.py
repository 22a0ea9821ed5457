"""The stream's history is rewritten: both sinks keep what they read and read the new one once."""

from __future__ import annotations

import signal

import pytest

from ingest.errors import EXIT_TERMINAL
from tests.support.chaos import ended, expect_verified
from tests.support.history import (
    hot_values,
    lake_values,
    make_anew,
    once,
    put_record,
    read_record,
    registry,
    restore_stream,
    save_stream,
    wait_values,
)
from tests.support.lane import TestLane, Writer, reading
from tests.support.outcome import dead_letters
from tests.support.waiting import until

OLD, LOST, NEW = range(1_000), range(1_000, 1_200), range(5_000, 5_300)


def _run_to(lane: TestLane, sequence: int, *paths: str) -> None:
    """Runs the paths until they are at ``sequence``, then drains them."""
    writers = [lane.start(path) for path in paths or ("hot", "lake")]
    _wait(lane, sequence, *paths)
    for writer in writers:
        assert writer.drain() == 0


def _wait(lane: TestLane, sequence: int, *paths: str) -> None:
    if "hot" in (paths or ("hot",)):
        lane.wait_hot(sequence)
    if "lake" in (paths or ("lake",)):
        lane.wait_lake(sequence)


def _publish(lane: TestLane, numbers: range) -> None:
    lane.publish(lane.readings(len(numbers), start=numbers.start))


def _drain(*writers: Writer) -> None:
    for writer in writers:
        assert writer.drain() == 0


def test_a_lost_tail_while_the_writers_are_down(rough_lane: TestLane) -> None:
    """Other messages under sequences that were read: a new epoch, told once, everything once."""
    lane = rough_lane
    lane.init()
    _publish(lane, OLD)
    copy = save_stream(lane)
    _publish(lane, LOST)
    _run_to(lane, 1_200)
    restore_stream(lane, copy)
    lane.stack.start_service("nats")
    _publish(lane, NEW)

    _run_to(lane, 1_300)
    assert hot_values(lane) == once(OLD, LOST, NEW)
    assert lake_values(lane) == once(OLD, LOST, NEW)
    epochs = registry(lane).record.epochs
    assert [epoch.first_seq for epoch in epochs] == [1, 1_001]
    expect_verified(lane, unproven=True)


@pytest.mark.short
def test_a_lost_tail_while_the_writers_run(rough_lane: TestLane) -> None:
    """The same with both writers up through it, the new history shorter at first, then longer."""
    lane = rough_lane
    lane.init()
    _publish(lane, OLD)
    copy = save_stream(lane)
    writers = [lane.start("hot"), lane.start("lake")]
    _publish(lane, LOST)
    _wait(lane, 1_200)
    restore_stream(lane, copy)
    for writer in writers:
        writer.process.send_signal(signal.SIGSTOP)
    lane.stack.start_service("nats")
    new = range(5_000, 5_100)
    _publish(lane, new)
    for writer in writers:
        writer.process.send_signal(signal.SIGCONT)
    later = range(7_000, 7_300)
    _publish(lane, later)

    _wait(lane, 1_400)
    _drain(*writers)
    assert hot_values(lane) == once(OLD, LOST, new, later)
    assert lake_values(lane) == once(OLD, LOST, new, later)
    assert [epoch.first_seq for epoch in registry(lane).record.epochs] == [1, 1_001]
    expect_verified(lane, unproven=True)


def test_a_lost_tail_that_one_path_has_not_committed(rough_lane: TestLane) -> None:
    """Whoever sees the rewrite first registers where the histories really part."""
    lane = rough_lane
    lane.init()
    _publish(lane, range(800))
    _run_to(lane, 800)
    _publish(lane, range(800, 1_000))
    copy = save_stream(lane)
    _publish(lane, LOST)
    _run_to(lane, 1_200, "hot")
    lane.publish([b"refused"])
    lake = lane.start("lake", IOT_LAKE__COMMIT_MAX_AGE_S="3600")
    until(lambda: 1_201 in dead_letters(lane), "the lake to have read everything")
    restore_stream(lane, copy)
    lake.process.send_signal(signal.SIGSTOP)
    lane.stack.start_service("nats")
    lane.publish([*lane.readings(len(NEW), start=NEW.start), b"refused"])
    lake.process.send_signal(signal.SIGCONT)
    until(lambda: 1_301 in dead_letters(lane), "the lake to have read everything")
    _drain(lake)

    _run_to(lane, 1_301, "hot")
    assert hot_values(lane) == once(range(1_000), LOST, NEW)
    assert lake_values(lane) == once(range(1_000), NEW)
    assert [epoch.first_seq for epoch in registry(lane).record.epochs] == [1, 1_001]


def test_a_path_that_is_behind_learns_of_the_rewrite_from_the_other(rough_lane: TestLane) -> None:
    """A lake that never saw the lost tail names the new messages as the hot path does."""
    lane = rough_lane
    lane.init()
    _publish(lane, OLD)
    _run_to(lane, 1_000)
    copy = save_stream(lane)
    _publish(lane, LOST)
    _run_to(lane, 1_200, "hot")
    restore_stream(lane, copy)
    lane.stack.start_service("nats")
    _publish(lane, NEW)

    _run_to(lane, 1_300, "lake")
    _run_to(lane, 1_300, "hot")
    assert hot_values(lane) == once(OLD, LOST, NEW)
    assert lake_values(lane) == once(OLD, NEW)
    names = {row[0] for row in _epochs_of_new(lane)}
    assert names == {registry(lane).epoch.id}


def test_a_second_rewrite_above_refused_messages(rough_lane: TestLane) -> None:
    """A row of a history before the last is no proof of where the present one parts."""
    lane = rough_lane
    lane.init()
    _publish(lane, OLD)
    copy = save_stream(lane)
    _publish(lane, LOST)
    _run_to(lane, 1_200)
    restore_stream(lane, copy)
    lane.stack.start_service("nats")
    mixed = [reading(number) if number % 4 == 3 else b"refused" for number in range(5_000, 5_100)]
    lane.publish(mixed)
    second = save_stream(lane)
    _publish(lane, range(5_100, 5_150))
    writers = [lane.start("hot"), lane.start("lake")]
    wait_values(lane, once(range(5_100, 5_150)))
    _drain(*writers)
    restore_stream(lane, second)
    lane.stack.start_service("nats")
    _publish(lane, range(8_000, 8_100))

    writers = [lane.start("hot"), lane.start("lake")]
    wait_values(lane, once(range(8_000, 8_100)))
    _drain(*writers)
    kept = once(OLD, LOST, range(5_003, 5_100, 4), range(5_100, 5_150), range(8_000, 8_100))
    assert hot_values(lane) == kept
    assert lake_values(lane) == kept
    assert [epoch.first_seq for epoch in registry(lane).record.epochs] == [1, 1_001, 1_101]
    expect_verified(lane, unproven=True)


@pytest.mark.parametrize(("running", "count"), [(False, 1_500), (True, 300)])
def test_a_stream_made_anew(lane: TestLane, running: bool, count: int) -> None:
    """Fewer or more messages under the same sequences than before: all of them are read."""
    lane.init()
    _publish(lane, OLD)
    writers = [lane.start("hot"), lane.start("lake")]
    _wait(lane, 1_000)
    if running:
        # A writer that looks while there is no stream at all stops with exit 3.
        for writer in writers:
            writer.process.send_signal(signal.SIGSTOP)
    else:
        _drain(*writers)
    make_anew(lane)
    new = range(5_000, 5_000 + count)
    _publish(lane, new)
    if running:
        for writer in writers:
            writer.process.send_signal(signal.SIGCONT)
    else:
        writers = [lane.start("hot"), lane.start("lake")]
    wait_values(lane, once(OLD, new))
    _drain(*writers)
    assert hot_values(lane) == once(OLD, new)
    assert lake_values(lane) == once(OLD, new)
    assert [epoch.first_seq for epoch in registry(lane).record.epochs] == [1, 1]
    expect_verified(lane, unproven=True)


def test_an_older_registry_is_noticed(lane: TestLane) -> None:
    """A registry that lacks an epoch which a sink was written under: exit 3, both paths."""
    lane.init()
    _publish(lane, OLD)
    _run_to(lane, 1_000)
    older = read_record(lane, f"registry.{lane.stream}")
    make_anew(lane)
    _publish(lane, NEW)
    writers = [lane.start("hot"), lane.start("lake")]
    wait_values(lane, once(OLD, NEW))
    _drain(*writers)
    newer = read_record(lane, f"registry.{lane.stream}")
    put_record(lane, f"registry.{lane.stream}", older)
    for path in ("hot", "lake"):
        code, problem = ended(lane.start(path))
        assert code == EXIT_TERMINAL
        assert "registry" in problem

    put_record(lane, f"registry.{lane.stream}", newer)
    _publish(lane, range(9_000, 9_010))
    _run_to(lane, 310)
    assert hot_values(lane) == lake_values(lane) == once(OLD, NEW, range(9_000, 9_010))


@pytest.mark.short
def test_an_entry_from_before_the_rewrite_is_noticed(lane: TestLane) -> None:
    """The hot entry restored older than an epoch: exit 3, and no row of it is stored again."""
    lane.init()
    _publish(lane, OLD)
    _run_to(lane, 1_000, "hot")
    older = read_record(lane, f"hot.{lane.stream}")
    make_anew(lane)
    _publish(lane, range(5_000, 6_200))
    writer = lane.start("hot")
    wait_values(lane, once(OLD, range(5_000, 6_200)), "hot")
    _drain(writer)
    put_record(lane, f"hot.{lane.stream}", older)

    code, problem = ended(lane.start("hot"))
    assert code == EXIT_TERMINAL
    assert "ingest repair hot" in problem
    assert hot_values(lane) == once(OLD, range(5_000, 6_200))


def test_a_purged_stream_goes_on(lane: TestLane) -> None:
    """A purge of messages that were read is no rewrite and no loss."""
    lane.init()
    _publish(lane, OLD)
    writers = [lane.start("hot"), lane.start("lake")]
    _wait(lane, 1_000)
    lane.run_async(lambda link: link.api(f"STREAM.PURGE.{lane.stream}"))
    _publish(lane, NEW)
    _wait(lane, 1_300)
    _drain(*writers)
    _publish(lane, range(9_000, 9_010))
    _run_to(lane, 1_310)
    assert hot_values(lane) == lake_values(lane) == once(OLD, NEW, range(9_000, 9_010))
    assert len(registry(lane).record.epochs) == 1


def _epochs_of_new(lane: TestLane) -> list[tuple[str]]:
    client = lane.clickhouse()
    try:
        floor = NEW.start * 0.5
        query = f"SELECT DISTINCT _epoch FROM {lane.table} WHERE value >= {floor}"
        hot = [(str(row[0]),) for row in client.query(query).result_rows]
    finally:
        client.close()
    lake = lane.lake_table().scan(row_filter=f"value >= {floor}").to_arrow()
    return hot + [(name,) for name in set(lake.column("_epoch").to_pylist())]
