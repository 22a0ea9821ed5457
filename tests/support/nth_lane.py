"""Two lanes of a contract, and each of them as a test lane of its own; no mapping is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ingest.contract import Contract
from ingest.lanes import inlet, lane_contract
from tests.support.lane import TestLane

LANES = 2


@dataclass
class NthLane(TestLane):
    """Lane ``number`` of another test lane's contract: its stream, positions and proof."""

    __test__ = False

    number: int = 0

    @property
    def stream(self) -> str:
        """Name of this lane's stream."""
        return self.contract.stream

    @property
    def contract(self) -> Contract:
        """The contract with this lane's stream."""
        return lane_contract(self.settings)

    def publish(self, payloads: Iterable[bytes], subject: str = "s.d.m") -> None:
        """Publishes to this lane, whatever the server would choose."""
        mapped = inlet(self.settings)
        whole, self.subject_root = self.subject_root, f"{mapped}{self.subject_root}"
        try:
            super().publish(payloads, subject)
        finally:
            self.subject_root = whole


def two_lanes(lane: TestLane) -> list[NthLane]:
    """Gives the contract two lanes; each of them, to publish to, store and prove."""
    lane.overrides |= {
        "IOT_LANES__COUNT": str(LANES),
        "IOT_LANES__BY": f"{lane.subject_root}.*.*.>",
    }
    return [nth(lane, number) for number in range(LANES)]


def nth(lane: TestLane, number: int) -> NthLane:
    """One of the lanes, with the settings of now."""
    overrides = {**lane.overrides, "IOT_LANES__ONLY": str(number)}
    found = NthLane(lane.stack, lane.folder, lane.tag, lane.source, overrides, number=number)
    found.contract_file, found.subject_root = lane.contract_file, lane.subject_root
    return found
