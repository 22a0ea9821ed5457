"""ClickHouse fails in every way in the middle of inserts; each row is there once afterwards."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from clickhouse_connect.driver.client import Client

from devstack.supervisor import Devstack
from ingest.clickhouse_client import connect
from ingest.errors import EXIT_TERMINAL, EXIT_USAGE
from tests.support.chaos import ended, rows, wait_said
from tests.support.lane import TestLane
from tests.support.proxy import Action, HttpProxy

MESSAGES = 6_000
INSERT = "INSERT INTO"


@pytest.fixture
def proxy(rough_lane: TestLane) -> Iterator[HttpProxy]:
    """A proxy in front of ClickHouse that only the lane's writers go through."""
    url = urlsplit(rough_lane.stack.env["IOT_CLICKHOUSE__URL"])
    with HttpProxy(url.port or 0) as running:
        rough_lane.init()
        place = f"{url.username}:{url.password}@127.0.0.1:{running.port}"
        rough_lane.overrides["IOT_CLICKHOUSE__URL"] = urlunsplit(url._replace(netloc=place))
        yield running


LIES = [
    (Action.REFUSE, 503),
    (Action.DROP, 0),
    (Action.ANSWER_AFTER, 500),
    (Action.ANSWER_AFTER, 503),
    (Action.CUT_AFTER, 0),
    (Action.TWICE, 0),
    (Action.CUT_AFTER, 0),
    (Action.DROP, 0),
]


@pytest.mark.short
def test_inserts_whose_answers_lie_or_are_missing(rough_lane: TestLane, proxy: HttpProxy) -> None:
    """Refused, cut, answered with an error although done, or sent twice: one row each."""
    faults = [proxy.fail(action, INSERT, status=status) for action, status in LIES]
    rough_lane.publish(rough_lane.readings(MESSAGES))
    hot = rough_lane.start("hot", IOT_HOT__BATCH_MAX_ROWS="500")
    rough_lane.wait_hot(MESSAGES)
    assert [fault.taken for fault in faults] == [1] * len(LIES)
    assert hot.drain() == 0
    assert rough_lane.hot_rows() == rows(1, MESSAGES)


@pytest.mark.short
def test_a_look_up_that_breaks_off(rough_lane: TestLane, proxy: HttpProxy) -> None:
    """An insert without an answer, then look-ups cut in the middle: looked up again."""
    insert = proxy.fail(Action.CUT_AFTER, INSERT)
    look_up = proxy.fail(Action.CUT_MIDWAY, "SELECT count()", times=2)
    rough_lane.publish(rough_lane.readings(1_000))
    hot = rough_lane.start("hot")
    rough_lane.wait_hot(1_000)
    assert (insert.taken, look_up.taken) == (1, 2)
    assert hot.drain() == 0
    assert rough_lane.hot_rows() == rows(1, 1_000)


@pytest.mark.short
def test_a_late_insert_lands_after_its_writer_was_overtaken(
    rough_lane: TestLane, proxy: HttpProxy
) -> None:
    """An insert held up on the way until a successor stored the same range is dropped by token."""
    fault = proxy.fail(Action.HOLD, INSERT)
    rough_lane.publish(rough_lane.readings(1_000))
    slow = rough_lane.start("hot")
    assert fault.reached.wait(30)
    slow.process.kill()
    successor = rough_lane.start("hot")
    rough_lane.wait_hot(1_000)
    fault.release.set()
    rough_lane.publish(rough_lane.readings(100, start=1_000))
    rough_lane.wait_hot(1_100)
    assert successor.drain() == 0
    assert rough_lane.hot_rows() == rows(1, 1_100)


def test_killed_and_started_again_during_inserts(
    rough_lane: TestLane, rough_stack: Devstack
) -> None:
    """The writer waits for the server, keeps its range, and doubles nothing."""
    rough_lane.init()
    rough_lane.publish(rough_lane.readings(MESSAGES))
    hot = rough_lane.start("hot", IOT_HOT__BATCH_MAX_ROWS="500")
    wait_said(hot, "batch")
    rough_stack.kill("clickhouse")
    rough_lane.publish(rough_lane.readings(500, start=MESSAGES))
    wait_said(hot, "insert_failed")
    rough_stack.start_service("clickhouse")
    rough_lane.wait_hot(MESSAGES + 500)
    assert hot.drain() == 0
    assert rough_lane.hot_rows() == rows(1, MESSAGES + 500)


def test_paused_for_longer_than_the_deadline(rough_lane: TestLane, rough_stack: Devstack) -> None:
    """Inserts that the server takes up after their writer gave them up double nothing."""
    rough_lane.init()
    rough_lane.publish(rough_lane.readings(MESSAGES))
    hot = rough_lane.start("hot", IOT_HOT__BATCH_MAX_ROWS="500")
    wait_said(hot, "batch")
    rough_stack.signal("clickhouse", signal.SIGSTOP)
    rough_lane.publish(rough_lane.readings(500, start=MESSAGES))
    wait_said(hot, "insert_failed")
    rough_stack.signal("clickhouse", signal.SIGCONT)
    rough_lane.wait_hot(MESSAGES + 500)
    assert hot.drain() == 0
    assert rough_lane.hot_rows() == rows(1, MESSAGES + 500)


@pytest.mark.short
def test_too_many_parts_is_waited_out(lane: TestLane) -> None:
    """A server that refuses inserts for now is asked again, with the range kept."""
    lane.init()
    lane.publish(lane.readings(1_000))
    admin = _admin(lane)
    admin.command(f"ALTER TABLE {lane.table} MODIFY SETTING parts_to_throw_insert = 1")
    hot = lane.start("hot", IOT_HOT__BATCH_MAX_ROWS="100")
    wait_said(hot, "insert_waiting")
    assert "TOO_MANY_PARTS" in hot.said("insert_waiting")[0]["problem"]
    admin.command(f"ALTER TABLE {lane.table} RESET SETTING parts_to_throw_insert")
    admin.close()
    lane.wait_hot(1_000)
    assert hot.drain() == 0
    assert lane.hot_rows() == rows(1, 1_000)


def test_a_dropped_column_stops_with_advice(lane: TestLane) -> None:
    """The wrong schema is never guessed around: exit 3, and the sentence says what to do."""
    lane.init()
    admin = _admin(lane)
    admin.command(f"ALTER TABLE {lane.table} DROP COLUMN unit")
    lane.publish(lane.readings(100))
    code, problem = ended(lane.start("hot"))
    assert code == EXIT_TERMINAL
    assert "ingest schema diff" in problem

    admin.command(f"ALTER TABLE {lane.table} ADD COLUMN unit Nullable(String) AFTER value")
    admin.close()
    hot = lane.start("hot")
    lane.wait_hot(100)
    assert hot.drain() == 0
    assert lane.hot_rows() == rows(1, 100)


@pytest.mark.short
def test_a_wrong_password_is_a_settings_error(lane: TestLane) -> None:
    """Exit 2, and the sentence names the setting."""
    lane.init()
    lane.publish(lane.readings(10))
    url = lane.stack.env["IOT_CLICKHOUSE__URL"]
    password = urlsplit(url).password or ""
    code, problem = ended(lane.start("hot", IOT_CLICKHOUSE__URL=url.replace(password, "wrong")))
    assert code == EXIT_USAGE
    assert "IOT_CLICKHOUSE__URL" in problem


def _admin(lane: TestLane) -> Client:
    settings = lane.settings.clickhouse
    return connect(
        settings.model_copy(update={"url": type(settings.url)(lane.stack.clickhouse_url("admin"))}),
        database="default",
    )
