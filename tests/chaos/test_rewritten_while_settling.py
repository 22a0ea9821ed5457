"""The stream is made anew between a successor's history check and its rebuilding of a range."""

from __future__ import annotations

import signal
from urllib.parse import urlsplit, urlunsplit

from ingest.fault_points import FaultPoint
from tests.support.chaos import wait_said
from tests.support.history import hot_values, make_anew, once, wait_values
from tests.support.lane import TestLane
from tests.support.proxy import TcpProxy


def test_a_range_is_not_rebuilt_from_another_history(lane: TestLane) -> None:
    """New messages under a pending range's sequences are stored once, under their own epoch."""
    lane.init()
    lane.publish(lane.readings(1_000))
    small = {"IOT_HOT__BATCH_MAX_ROWS": "500"}
    killed = lane.start("hot", fault=f"{FaultPoint.HOT_AFTER_INTENT}:kill:2", **small)
    assert killed.wait() == -signal.SIGKILL
    entry = lane.hot_entry()
    assert entry is not None
    assert entry.pending is not None
    last = f'"seq":{entry.pending.last_mark.sequence}'.encode()
    url = urlsplit(lane.stack.env["IOT_NATS__URL"])
    new = range(5_000, 6_200)
    looked_up = []

    def rewrite_after_the_look_up(chunk: bytes) -> bool:
        if not looked_up and b"stream_msg_get_response" in chunk and last in chunk:
            looked_up.append(True)
            make_anew(lane)
            lane.publish(lane.readings(len(new), start=new.start))
        return False

    with TcpProxy(url.port or 0, rewrite_after_the_look_up) as proxy:
        place = f"{url.username}:{url.password}@127.0.0.1:{proxy.port}"
        hot = lane.start("hot", IOT_NATS__URL=urlunsplit(url._replace(netloc=place)), **small)
        wait_said(hot, "history_rewritten")
        wait_values(lane, once(range(entry.done.sequence), new), "hot")
        assert hot.drain() == 0
    assert hot_values(lane) == once(range(entry.done.sequence), new)
