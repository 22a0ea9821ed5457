"""A lane in order is proven."""

from __future__ import annotations

from tests.integration.proof.scenario import MALFORMED, MESSAGES, verify
from tests.support.lane import TestLane


def test_a_lane_in_order_is_proven(stored: TestLane) -> None:
    """All sides hold the same: exit 0, and every claim holds."""
    report = verify(stored)

    assert report["exit_code"] == 0, report["findings"]
    assert report["proven"]
    assert report["rows"] == MESSAGES - len(MALFORMED) + 2
    assert all(claim["holds"] for claim in report["claims"])
    assert report["readers"]["iceberg"] == "clickhouse icebergS3"
    claims = {claim["name"]: claim["values"] for claim in report["claims"]}
    assert claims["refused"] == {"stream": "3", "dlq": "3"}
