"""`ingest doctor` where there is a Trino."""

from __future__ import annotations

import json

import pytest

from tests.support.lane import TestLane

pytestmark = pytest.mark.timeout(300)


def trino_findings(lane: TestLane, **env: str) -> dict[str, tuple[str, str]]:
    """Verdict and text of each check of Trino."""
    told = lane.ingest("doctor", "--output", "json", check=False, **env).stdout
    found = [one for one in json.loads(told) if one["part"] == "Trino"]
    return {one["check"]: (one["verdict"], f"{one['found']}; {one['mend']}") for one in found}


def test_doctor_looks_at_trino_its_catalog_the_table_and_the_group(lake_lane: TestLane) -> None:
    """All is well on the embedded platform; maintenance has a resource group of its own."""
    lake_lane.init()

    found = trino_findings(lake_lane)

    assert {verdict for verdict, _ in found.values()} == {"ok"}, found
    assert "lakehouse.maintenance" in found["resource group"][1]
    assert f"table {lake_lane.table}" in found


def test_doctor_names_what_trino_lacks(lake_lane: TestLane) -> None:
    """A table that is missing, a catalog that is missing, a password that is wrong."""
    missing = trino_findings(lake_lane)
    assert missing[f"table {lake_lane.table}"][0] == "problem"
    assert "ingest init" in missing[f"table {lake_lane.table}"][1]

    catalog = trino_findings(lake_lane, IOT_TRINO__CATALOG="lagoon")
    assert catalog["catalog lagoon"][0] == "problem"
    assert "IOT_TRINO__CATALOG" in catalog["catalog lagoon"][1]

    url = lake_lane.env["IOT_TRINO__URL"]
    wrong = trino_findings(lake_lane, IOT_TRINO__URL=f"https://iot:no@{url.split('@')[1]}")
    assert wrong["connection"][0] == "note"
    assert "IOT_TRINO__URL" in wrong["connection"][1]
