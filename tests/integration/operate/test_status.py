"""`ingest status` with everything there, and with a part away."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ingest.provision import init
from ingest.status import lane_status
from ingest.status_record import LaneStatus
from tests.support.lane import TestLane, Writer
from tests.support.waiting import until


@pytest.fixture
def made(lane: TestLane) -> TestLane:
    """A lane after init."""
    asyncio.run(init(lane.settings))
    return lane


def look(lane: TestLane, **env: str) -> LaneStatus:
    """The lane's status under its settings and ``env``."""
    lane.overrides.update(env)
    return asyncio.run(lane_status(lane.settings))


def test_a_fresh_lane_has_nothing_to_read(made: TestLane) -> None:
    """Before the first message both paths stand at 0 without lag, and nothing is a problem."""
    status = look(made)

    assert status.problems == {}
    assert status.stream is not None
    assert (status.stream.messages, status.stream.rate) == (0, 0.0)
    assert status.hot is not None
    assert status.lake is not None
    assert (status.hot.position, status.hot.lag_messages) == (0, 0)
    assert (status.lake.position, status.lake.lag_messages) == (0, 0)
    assert status.hot.lease_holder is None
    assert status.verified is None
    age_s = made.settings.stream.max_age_h * 3600
    assert status.hot.dropped_in_s == pytest.approx(age_s, abs=5)


def test_both_paths_are_told_with_what_their_sinks_hold(made: TestLane) -> None:
    """Positions, writers, rows, files and dead letters are those of the lane."""
    writers = {path: made.start(path) for path in ("hot", "lake")}
    made.publish([*made.readings(40), b"refused"])
    made.wait_hot(41)
    made.wait_lake(41)
    until(lambda: _holders(made) == _running(writers), "both writers hold their leases")

    status = look(made)

    assert status.problems == {}
    for path, told in (("hot", status.hot), ("lake", status.lake)):
        assert told is not None
        assert (told.position, told.lag_messages, told.fence) == (41, 0, 1)
        assert str(writers[path].process.pid) in str(told.fence_writer)
        assert told.freshness_s is not None
        assert 0 <= told.freshness_s < 60
    assert status.clickhouse is not None
    assert status.iceberg is not None
    assert status.clickhouse.rows == status.iceberg.rows == 40
    assert status.clickhouse.files >= 1
    assert status.iceberg.files >= 1
    assert status.dlq is not None
    assert status.dlq.reasons == {"invalid_json": 1}
    assert status.stream is not None
    assert status.stream.rate > 0
    assert [writer.drain() for writer in writers.values()] == [0, 0]


def _holders(lane: TestLane) -> list[str]:
    """Process ids in the names of those that hold the leases of hot and lake."""
    status = look(lane)
    held = [path.lease_holder for path in (status.hot, status.lake) if path is not None]
    return [name.split("-")[-2] for name in held if name is not None]


def _running(writers: dict[str, Writer]) -> list[str]:
    return [str(writer.process.pid) for writer in writers.values()]


def test_unread_messages_are_lag_and_age(made: TestLane) -> None:
    """Without writers the lag is what the stream holds, and the time left counts from its age."""
    made.publish(made.readings(10))

    status = look(made)

    assert status.hot is not None
    assert status.hot.lag_messages == 10
    assert status.hot.freshness_s is None
    assert status.hot.dropped_in_s is not None
    assert status.hot.dropped_in_s < made.settings.stream.max_age_h * 3600


def test_messages_that_retention_removed_unread_are_counted(made: TestLane) -> None:
    """What the stream dropped above a path's position is told as lost, apart from the lag."""
    writer = made.start("hot")
    made.publish(made.readings(5))
    made.wait_hot(5)
    assert writer.drain() == 0
    made.publish(made.readings(20))
    made.run_async(lambda link: link.api(f"STREAM.PURGE.{made.stream}", {"keep": 4}))

    status = look(made)

    assert status.hot is not None
    assert status.lake is not None
    assert (status.hot.lag_messages, status.hot.dropped_unread) == (4, 16)
    assert (status.lake.lag_messages, status.lake.dropped_unread) == (4, 0)


@pytest.mark.parametrize(
    ("env", "part", "missing", "shown"),
    [
        (
            {"IOT_CLICKHOUSE__URL": "http://default:@127.0.0.1:1/iot"},
            "ClickHouse",
            "clickhouse",
            ("stream", "hot", "lake", "iceberg", "dlq"),
        ),
        (
            {"IOT_CATALOG__URI": "http://127.0.0.1:1"},
            "Iceberg",
            "iceberg",
            ("stream", "hot", "clickhouse", "dlq"),
        ),
        ({"IOT_NATS__URL": "nats://127.0.0.1:1"}, "NATS", "stream", ("clickhouse", "iceberg")),
    ],
)
def test_a_part_that_is_away_is_named_and_hides_no_other(
    made: TestLane, env: dict[str, str], part: str, missing: str, shown: tuple[str, ...]
) -> None:
    """The part is a problem with its reason; everything else is told all the same."""
    status = look(made, **env)

    assert list(status.problems) == [part]
    assert getattr(status, missing) is None
    assert all(getattr(status, name) is not None for name in shown)


@pytest.mark.chaos
def test_the_command_is_exit_1_when_a_part_is_away(own_lane: TestLane) -> None:
    """With ClickHouse killed status ends with 1, names it, and prints the rest."""
    own_lane.init()
    own_lane.publish(own_lane.readings(3))
    fine: dict[str, Any] = json.loads(own_lane.ingest("status", "--output", "json").stdout)
    own_lane.stack.kill("clickhouse")

    done = own_lane.ingest("status", check=False)

    assert fine["problems"] == {}
    assert fine["stream"]["full_in_s"] is None
    assert done.returncode == 1
    assert "PROBLEM     ClickHouse: " in done.stdout
    assert "lag 3" in done.stdout
    assert "dropped in" in done.stdout


def test_before_init_every_missing_part_is_named(lane: TestLane) -> None:
    """On an empty platform each part says what to run first."""
    lane.overrides["IOT_S3__BUCKET"] = f"other-{lane.tag}"

    status = look(lane)

    assert f"stream {lane.stream}" in status.problems
    assert {"ClickHouse", "Iceberg"} <= status.problems.keys()
    assert all("ingest init" in problem for problem in status.problems.values())
