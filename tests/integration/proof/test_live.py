"""The proof holds while both writers go on storing."""

from __future__ import annotations

import threading

from tests.integration.proof.scenario import payloads, proof
from tests.support.lane import TestLane
from tests.support.waiting import until


def test_a_live_lane_is_proven_range_by_range(lane: TestLane) -> None:
    """Rows of the present minute keep coming; every run proves what is closed by then."""
    lane.overrides["IOT_HOT__BATCH_MAX_AGE_S"] = "0.02"
    lane.init()
    lane.publish(payloads())
    lane.start("hot")
    lane.start("lake")
    lane.wait_hot(100)
    lane.wait_lake(100)
    enough = threading.Event()

    def publish() -> None:
        while not enough.is_set():
            lane.publish(payloads(200))

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        reports = [proof(lane) for _ in range(4)]
        grown = reports[-1]["parts"][-1]["last"] if reports[-1]["parts"] else 0
        until(lambda: lane.state().last_seq > grown, "more messages than were proven")
    finally:
        enough.set()
        publisher.join()

    assert [report["findings"] for report in reports] == [[], [], [], []]
    assert sum(report["rows"] for report in reports) > 0
