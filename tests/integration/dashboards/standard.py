"""A lane under the names that the dashboards use, with readings of every kind they look for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from ingest.contract import load_contract
from tests.support.lane import PACKAGED, TestLane, reading

SITES = ["north", "south"]
METRICS = ["humidity", "temperature"]
VARIABLES = {
    "metric": METRICS,
    "site": SITES,
    "device": "dev-1",
    "lane": ["READINGS"],
}
"""What somebody has chosen on the page."""


@dataclass
class StandardLane(TestLane):
    """The packaged contract as it is: stream READINGS, database iot."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.contract_file.write_bytes(PACKAGED.read_bytes())
        self.subject_root = "readings"
        return self

    @property
    def stream(self) -> str:
        """The packaged stream."""
        return load_contract(PACKAGED).stream


def readings(count: int, moment: datetime) -> list[bytes]:
    """Readings up to ``moment``: of all sites and metrics, some late, some suspect, one twice."""
    return [
        reading(
            number,
            device_id=f"dev-{number % 7}",
            site=SITES[number % 2],
            metric=METRICS[number // 2 % 2],
            ts=_at(moment - timedelta(hours=3 if number % 50 == 0 else 0, milliseconds=number)),
            quality="suspect" if number % 20 == 0 else "good",
        )
        for number in [*range(count), 1]
    ]


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
