"""Retention removes unread messages: that is loss, it is told, and nothing goes on silently."""

from __future__ import annotations

import pytest

from devstack.supervisor import Devstack
from ingest.errors import EXIT_TERMINAL
from ingest.nats_link import NatsLink
from tests.support.chaos import ended, rows, wait_said
from tests.support.history import registry
from tests.support.lane import TestLane
from tests.support.outcome import dead_letters
from tests.support.waiting import until

HOT_SHORT = pytest.param("hot", marks=pytest.mark.short)


def _wait(lane: TestLane, path: str, sequence: int) -> None:
    if path == "hot":
        lane.wait_hot(sequence)
    else:
        lane.wait_lake(sequence)


def _rows(lane: TestLane, path: str) -> list[tuple[int, int]]:
    return lane.hot_rows() if path == "hot" else lane.lake_rows()


def _change(lane: TestLane, stream: str, **config: object) -> None:
    async def work(link: NatsLink) -> None:
        now = (await link.api(f"STREAM.INFO.{stream}", {}))["config"]
        await link.api(f"STREAM.UPDATE.{stream}", {**now, **config})

    lane.run_async(work)


@pytest.mark.parametrize("path", [HOT_SHORT, "lake"])
def test_unread_messages_gone_while_the_writer_was_down(lane: TestLane, path: str) -> None:
    """Exit 3 naming the range; with --accept-loss it goes on and the registry tells of it."""
    lane.init()
    lane.publish(lane.readings(500))
    writer = lane.start(path)
    _wait(lane, path, 500)
    assert writer.drain() == 0
    _change(lane, lane.stream, max_msgs=200)
    lane.publish(lane.readings(1_000, start=500))

    code, problem = ended(lane.start(path))
    assert code == EXIT_TERMINAL
    assert "501-1300" in problem
    assert "--accept-loss" in problem
    assert _rows(lane, path) == rows(1, 500)

    accepting = lane.start(path, "--accept-loss")
    _wait(lane, path, 1_500)
    assert accepting.drain() == 0
    assert _rows(lane, path) == rows(1, 500) + rows(1_301, 1_500)
    (loss,) = registry(lane).record.losses
    assert (loss.path, loss.first, loss.last) == (path, 501, 1_300)
    again = lane.start(path)
    lane.publish(lane.readings(10, start=1_500))
    _wait(lane, path, 1_510)
    assert again.drain() == 0


@pytest.mark.parametrize("path", ["hot", "lake"])
def test_unread_messages_gone_while_the_sink_was_away(
    rough_lane: TestLane, rough_stack: Devstack, path: str
) -> None:
    """What was read is stored when the sink comes back, then exit 3 names what was not."""
    lane = rough_lane
    sink = {"hot": "clickhouse", "lake": "seaweedfs"}[path]
    lane.init()
    # Little read ahead, so that most of what comes meanwhile stays unread.
    small = {"IOT_HOT__BATCH_MAX_ROWS": "100", "IOT_LAKE__DECODE_MAX_ROWS": "100"}
    writer = lane.start(path, IOT_LAKE__COMMIT_MAX_ROWS="100", **small)
    lane.publish(lane.readings(500))
    _wait(lane, path, 500)
    rough_stack.kill(sink)
    lane.publish(lane.readings(1_000, start=500))
    until(
        lambda: any(
            writer.said(event) for event in ("insert_waiting", "commit_waiting", "waiting_for_sink")
        ),
        "the sink missed",
    )
    _change(lane, lane.stream, max_msgs=200)
    lane.publish(lane.readings(4_000, start=1_500))
    rough_stack.start_service(sink)
    code, problem = ended(writer)
    assert code == EXIT_TERMINAL
    assert "-5300" in problem
    stored = _rows(lane, path)
    assert stored == rows(1, len(stored))
    assert len(stored) >= 500


def test_a_pending_insert_whose_messages_are_gone(lane: TestLane) -> None:
    """A crash before the insert, then retention: loss by name, and --accept-loss goes on."""
    lane.init()
    lane.publish(lane.readings(500))
    lane.start("hot", fault="hot.after_intent:kill").wait()
    _change(lane, lane.stream, max_msgs=200)
    lane.publish(lane.readings(500, start=500))
    code, problem = ended(lane.start("hot"))
    assert code == EXIT_TERMINAL
    assert "1-800" in problem

    accepting = lane.start("hot", "--accept-loss")
    lane.wait_hot(1_000)
    assert accepting.drain() == 0
    assert lane.hot_rows() == rows(801, 1_000)


def test_a_pending_insert_whose_messages_were_deleted(lane: TestLane) -> None:
    """Holes in a range that has to be rebuilt, up to the whole of it, stop nothing."""
    lane.init()
    lane.publish(lane.readings(20))
    lane.start("hot", fault="hot.after_intent:kill").wait()
    lane.publish(lane.readings(20, start=20))
    _delete(lane, range(1, 21))
    hot = lane.start("hot", "--accept-loss")
    lane.wait_hot(40)
    assert hot.drain() == 0
    assert lane.hot_rows() == rows(21, 40)


def test_deleted_messages_are_holes(lane: TestLane) -> None:
    """Deleting messages from the stream is legitimate: counted, no alarm, and proven as holes."""
    lane.init()
    lane.publish(lane.readings(300))
    _delete(lane, range(101, 201))
    writers = [lane.start("hot"), lane.start("lake")]
    lane.wait_hot(300)
    lane.wait_lake(300)
    for writer in writers:
        assert writer.drain() == 0
    assert lane.hot_rows() == lane.lake_rows() == rows(1, 100) + rows(201, 300)
    assert sum(line["holes"] for line in writers[0].said("batch")) == 100
    assert sum(line["holes"] for line in writers[1].said("commit")) == 100
    assert registry(lane).record.losses == ()
    lane.ingest("verify")


@pytest.mark.parametrize("path", [HOT_SHORT, "lake"])
def test_a_full_dead_letter_queue_stops_the_writer(rough_lane: TestLane, path: str) -> None:
    """Exit 3 with advice before anything beyond the refused message is stored."""
    lane = rough_lane
    lane.init()
    _change(lane, "DLQ", max_msgs=_dead_letter_count(lane) + 10)
    try:
        lane.publish([*lane.readings(100), *[b"refused"] * 20, *lane.readings(10, start=100)])
        code, problem = ended(lane.start(path))
        assert code == EXIT_TERMINAL
        assert "ingest dlq purge" in problem
        assert _rows(lane, path) in ([], rows(1, 100))
    finally:
        _change(lane, "DLQ", max_msgs=-1)
    writer = lane.start(path)
    _wait(lane, path, 130)
    assert writer.drain() == 0
    assert _rows(lane, path) == rows(1, 100) + rows(121, 130)
    assert dead_letters(lane) == list(range(101, 121))


@pytest.mark.short
def test_a_dead_letter_queue_that_is_away_is_waited_for(rough_lane: TestLane) -> None:
    """Without the stream nothing acknowledges: the writer waits and says so."""
    lane = rough_lane
    lane.init()
    config = _config(lane, "DLQ")
    lane.run_async(lambda link: link.api("STREAM.DELETE.DLQ"))
    lane.publish([b"refused"] * 5)
    hot = lane.start("hot")
    wait_said(hot, "dlq_waiting")
    lane.run_async(lambda link: link.api("STREAM.CREATE.DLQ", config))
    lane.wait_hot(5)
    assert hot.drain() == 0
    assert dead_letters(lane) == [1, 2, 3, 4, 5]
    assert len(hot.said("dlq_waiting")) < 200


def _config(lane: TestLane, stream: str) -> dict[str, object]:
    async def work(link: NatsLink) -> dict[str, object]:
        found: dict[str, object] = (await link.api(f"STREAM.INFO.{stream}", {}))["config"]
        return found

    return lane.run_async(work)


def _dead_letter_count(lane: TestLane) -> int:
    async def work(link: NatsLink) -> int:
        return int((await link.api("STREAM.INFO.DLQ", {}))["state"]["messages"])

    return lane.run_async(work)


def _delete(lane: TestLane, sequences: range) -> None:
    async def work(link: NatsLink) -> None:
        for sequence in sequences:
            await link.api(f"STREAM.MSG.DELETE.{lane.stream}", {"seq": sequence, "no_erase": True})

    lane.run_async(work)
