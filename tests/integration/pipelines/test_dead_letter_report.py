"""The dead-letter queue told by reason, subject and device, with examples."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.stream.dead_letters import report
from pipelines.dlq_report import HOURS, dead_letter_report
from tests.integration.pipelines.test_last_seen import metadata_of
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane, reading


def refused(lane: TestLane) -> int:
    """Stores good and refused messages; their number together."""
    lane.init()
    lane.start("hot")
    lane.publish(lane.readings(3))
    lane.publish([b"not json", b"[1"], "site.dev.m")
    lane.publish([reading(n, device_id="broken", value="warm") for n in range(4)], "s.broken.m")
    lane.wait_hot(9)
    return 9


def test_refused_messages_by_reason_subject_and_device(lane: TestLane) -> None:
    """Every open entry is counted, the device is read from the payload, examples show both."""
    refused(lane)

    found = lane.run_async(lambda link: dead_letter_report(link, lane.contract))

    assert (found.open, found.read, found.complete) == (6, 6, True)
    assert sum(found.by_reason.values()) == 6
    assert len(found.by_reason) == 2
    assert found.by_device["broken"] == 4
    assert found.by_subject[f"{lane.subject_root}.s.broken.m"] == 4
    assert (found.last_day, found.day_before, len(found.by_hour)) == (6, 0, HOURS)
    assert {one.payload for one in found.examples} >= {"not json", "[1"}
    assert all(one.detail for one in found.examples)


def test_an_entry_that_was_dealt_with_is_not_counted(lane: TestLane) -> None:
    """Purged entries leave the report."""
    refused(lane)
    lane.ingest("dlq", "purge", "--all", "--yes")

    found = lane.run_async(lambda link: dead_letter_report(link, lane.contract))

    assert (found.open, found.examples) == (0, [])


def test_the_asset_has_numbers_tables_and_a_plot(lane: TestLane) -> None:
    """Growth and rate as numbers, so that Dagster plots them."""
    refused(lane)
    result = dg.materialize([report(scope_of(lane))], resources={"lakehouse": lakehouse_of(lane)})
    metadata = metadata_of(result)
    assert (metadata["open"], metadata["growth"]) == (6, 6)
    assert metadata["refused_per_h"] == 6 / 24
    assert "broken" in metadata["by device (newest 6)"]
    assert "data:image/png" in metadata["refused by hour"]


def test_an_empty_queue_is_reported_too(lane: TestLane) -> None:
    """Nothing refused is 0, not a failure."""
    lane.init()
    result = dg.materialize([report(scope_of(lane))], resources={"lakehouse": lakehouse_of(lane)})
    assert metadata_of(result)["open"] == 0
