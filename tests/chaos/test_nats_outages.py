"""NATS is killed, paused or cut off while both paths write and a publisher publishes."""

from __future__ import annotations

import signal
from urllib.parse import urlsplit, urlunsplit

import pytest

from devstack.supervisor import Devstack
from ingest.errors import EXIT_FENCED
from tests.support.chaos import expect_verified, rows, wait_said
from tests.support.history import hot_values, make_anew, once, wait_values
from tests.support.lane import TestLane
from tests.support.proxy import TcpProxy
from tests.support.stream_of_readings import StreamOfReadings
from tests.support.waiting import until


@pytest.mark.short
def test_killed_and_started_again_under_load(rough_lane: TestLane, rough_stack: Devstack) -> None:
    """Everything that was acknowledged is stored once, on both paths, through three crashes."""
    lane = rough_lane
    lane.init()
    writers = [lane.start("hot"), lane.start("lake")]
    with StreamOfReadings(lane, rate=400) as publisher:
        for count in (300, 900, 1_500):
            publisher.wait(count)
            rough_stack.kill("nats")
            rough_stack.start_service("nats")
        publisher.wait(2_000)
    last = lane.state().last_seq
    lane.wait_hot(last)
    lane.wait_lake(last)
    for writer in writers:
        assert writer.drain() == 0
    assert lane.hot_rows() == lane.lake_rows() == rows(1, last)
    publisher.expect_all_in(hot_values(lane))
    expect_verified(lane)


def test_paused_for_longer_than_the_lease(rough_lane: TestLane, rough_stack: Devstack) -> None:
    """Leases expire while NATS is stopped; whoever writes afterwards, each row is there once."""
    lane = rough_lane
    lane.init()
    pairs = {path: [lane.start(path), lane.start(path)] for path in ("hot", "lake")}
    for writers in pairs.values():
        until(lambda writers=writers: any(w.said("writing") for w in writers), "a writer")
        until(lambda writers=writers: any(w.said("standby") for w in writers), "a standby")
    with StreamOfReadings(lane, rate=400) as publisher:
        publisher.wait(300)
        rough_stack.signal("nats", signal.SIGSTOP)
        for writers in pairs.values():
            until(
                lambda writers=writers: any(one.said("reader_interrupted") for one in writers),
                "a silent server to be noticed",
            )
        rough_stack.signal("nats", signal.SIGCONT)
        publisher.wait(1_000)
    last = lane.state().last_seq
    lane.wait_hot(last)
    lane.wait_lake(last)
    for writers in pairs.values():
        codes = [one.process.poll() for one in writers]
        assert set(codes) <= {None, EXIT_FENCED}, codes
        for one in writers:
            if one.process.poll() is None:
                assert one.drain() == 0
    assert lane.hot_rows() == lane.lake_rows() == rows(1, last)


def test_a_connection_cut_in_the_middle_of_messages(lane: TestLane) -> None:
    """Frames lost on the way are read again: none missing, none twice."""
    lane.init()
    url = urlsplit(lane.stack.env["IOT_NATS__URL"])
    seen = 0

    def cut_now_and_then(chunk: bytes) -> bool:
        nonlocal seen
        seen += len(chunk)
        if seen < 300_000:
            return False
        seen = 0
        return True

    with TcpProxy(url.port or 0, cut_now_and_then) as proxy:
        place = f"{url.username}:{url.password}@127.0.0.1:{proxy.port}"
        through = {"IOT_NATS__URL": urlunsplit(url._replace(netloc=place))}
        lane.publish(lane.readings(6_000))
        writers = [lane.start("hot", **through), lane.start("lake", **through)]
        lane.wait_hot(6_000)
        lane.wait_lake(6_000)
        for writer in writers:
            assert writer.drain() == 0
        assert sum(len(writer.said("reopening")) for writer in writers) > 2
    assert lane.hot_rows() == lane.lake_rows() == rows(1, 6_000)


def test_history_rewritten_between_its_check_and_the_opening(lane: TestLane) -> None:
    """A connection lost just after the history was found sound makes the writer look again."""
    lane.init()
    lane.publish(lane.readings(1_000))
    first = lane.start("hot")
    lane.wait_hot(1_000)
    assert first.drain() == 0
    url = urlsplit(lane.stack.env["IOT_NATS__URL"])
    new = range(5_000, 6_200)
    looked_up = []

    def rewrite_after_the_look_up(chunk: bytes) -> bool:
        if looked_up or b"stream_msg_get_response" not in chunk or b'"seq":1000' not in chunk:
            return False
        looked_up.append(True)
        make_anew(lane)
        lane.publish(lane.readings(len(new), start=new.start))
        return True

    with TcpProxy(url.port or 0, rewrite_after_the_look_up) as proxy:
        place = f"{url.username}:{url.password}@127.0.0.1:{proxy.port}"
        hot = lane.start("hot", IOT_NATS__URL=urlunsplit(url._replace(netloc=place)))
        wait_said(hot, "history_rewritten")
        wait_values(lane, once(range(1_000), new), "hot")
        assert hot.drain() == 0
    assert hot_values(lane) == once(range(1_000), new)
