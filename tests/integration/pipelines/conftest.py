"""Lanes whose readings are in both sinks, proven, and grown old."""

from __future__ import annotations

import pytest

from tests.integration.pipelines.later import set_clock
from tests.integration.proof.scenario import MESSAGES, payloads, proof, provision, store
from tests.support.lane import TestLane


@pytest.fixture
def aged(lane: TestLane, monkeypatch: pytest.MonkeyPatch) -> TestLane:
    """A lane with MESSAGES messages in both sinks, proven, ten days ago; two days are kept."""
    lane.overrides["IOT_HOT__RETENTION_DAYS"] = "2"
    provision(lane)
    lane.publish(payloads())
    store(lane, MESSAGES)
    assert proof(lane)["proven"]
    set_clock(monkeypatch)
    return lane
