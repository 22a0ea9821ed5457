"""The cheap checks on real servers: each green in order, each red on real damage."""

from __future__ import annotations

import dagster as dg
import pytest
from pyiceberg.table import Table

from ingest.nats_link import NatsLink
from pipelines import quality_cheap
from pipelines.quality_cheap import CHAIN, FRESH_HOT, FRESH_LAKE, PROOF_AGE, REFUSED, WATERMARK
from pipelines.quality_look import look
from pipelines.quality_verdict import Verdict
from pipelines.scope import Scope
from pipelines.settings import QualitySettings
from tests.integration.proof.scenario import MESSAGES, payloads, proof, provision, store
from tests.support.lakehouse import lakehouse_of
from tests.support.lane import TestLane
from tests.support.waiting import until

BOUNDS = QualitySettings(refused_share_max=0.02)
STRICT = QualitySettings(
    fresh_hot_s=0.2, fresh_lake_s=0.2, proof_max_age_s=0.2, refused_share_max=0.005
)


def verdicts(lane: TestLane, bounds: QualitySettings = BOUNDS) -> dict[str, Verdict]:
    """Every cheap verdict now."""
    found = quality_cheap.verdicts(look(lane.settings, lane.contract), bounds)
    return {one.check: one for one in found}


@pytest.fixture
def stored(lane: TestLane) -> TestLane:
    """A lane with MESSAGES messages in both sinks and no writer running."""
    provision(lane)
    lane.publish(payloads())
    store(lane, MESSAGES)
    return lane


@pytest.fixture
def two_commits(stored: TestLane) -> Table:
    """The table of the lane after a second commit."""
    stored.publish(payloads())
    store(stored, 2 * MESSAGES)
    return stored.lake_table()


def test_a_lane_in_order_is_green(stored: TestLane) -> None:
    """Everything is stored and young: every check holds and says so with its numbers."""
    found = verdicts(stored)

    assert {name for name, one in found.items() if not one.passed} == set()
    assert set(found) == set(quality_cheap.CHECKS)
    assert found[FRESH_HOT].numbers["position"] == MESSAGES
    assert found[REFUSED].numbers["refused"] == 3
    assert found[REFUSED].numbers["messages"] == MESSAGES
    assert found[CHAIN].numbers["commits"] == 1


def test_a_stopped_writer_is_not_fresh(stored: TestLane) -> None:
    """What waits longer than the bound makes its sink red, and only that; it says since when."""
    stored.publish(stored.readings(5))
    store(stored, MESSAGES + 5, "hot")

    found = until(
        lambda: one if not (one := verdicts(stored, STRICT))[FRESH_LAKE].passed else None,
        "a red check",
    )

    assert found[FRESH_HOT].passed
    text = found[FRESH_LAKE].text
    assert text.startswith(f"Iceberg lacks 5 messages after {MESSAGES}; the oldest was stored ")
    assert "0.2 s allowed" in text

    store(stored, MESSAGES + 5, "lake")
    assert verdicts(stored, STRICT)[FRESH_LAKE].passed


def test_silence_of_the_sensors_is_fresh(stored: TestLane) -> None:
    """Without new messages a sink stays fresh, though nobody writes."""
    until(lambda: not verdicts(stored, STRICT)[PROOF_AGE].passed, "time has passed")

    found = verdicts(stored, STRICT)

    assert found[FRESH_HOT].passed
    assert found[FRESH_LAKE].passed


def test_a_commit_that_skips_sequences_is_a_gap(stored: TestLane, two_commits: Table) -> None:
    """A commit that does not begin where the one before ended is told with both snapshots."""
    assert verdicts(stored)[CHAIN].passed
    epoch = two_commits.properties[f"watermark.{stored.stream}"].split(":")[0]
    newest = two_commits.current_snapshot()
    assert newest is not None
    two_commits.append(
        two_commits.schema().as_arrow().empty_table(),
        snapshot_properties={
            "ingest.lane": stored.stream,
            "ingest.epoch": epoch,
            "ingest.first": "611",
            "ingest.last": "700",
            "ingest.writer": "somebody",
        },
    )

    found = verdicts(stored)[CHAIN]

    assert not found.passed
    assert f"begins at 611, but {newest.snapshot_id} before it ended at 600" in found.text
    assert (found.numbers["commits"], found.numbers["gaps"]) == (3, 1)
    assert not verdicts(stored)[WATERMARK].passed


def test_a_rolled_back_table_strays_from_its_watermark(
    stored: TestLane, two_commits: Table
) -> None:
    """After a rollback the newest commit is not the one that the watermark tells of."""
    assert verdicts(stored)[WATERMARK].passed
    first = two_commits.snapshots()[0].snapshot_id
    two_commits.manage_snapshots().rollback_to_snapshot(first).commit()

    found = verdicts(stored)[WATERMARK]

    assert not found.passed
    assert f"ended at {MESSAGES} of epoch" in found.text
    assert "but the watermark is" in found.text


def test_too_many_refused_messages_are_red(stored: TestLane) -> None:
    """The share of the last hour is above the bound; a purge changes nothing about it."""
    assert not verdicts(stored, STRICT)[REFUSED].passed
    assert "3 of 300 messages of the last hour were refused" in verdicts(stored)[REFUSED].text

    stored.ingest("dlq", "purge", "50", "--yes")

    assert verdicts(stored)[REFUSED].numbers["refused"] == 3


def test_an_unproven_lane_is_red_in_time(stored: TestLane) -> None:
    """What both sinks hold and nobody has proven is told with its age, until it is proven."""
    found = until(
        lambda: one if not (one := verdicts(stored, STRICT)[PROOF_AGE]).passed else None, "red"
    )
    assert found.text.startswith(f"{MESSAGES} sequences after 0 are in both sinks and not proven")

    proof(stored)

    found = verdicts(stored, STRICT)[PROOF_AGE]
    assert found.passed
    assert found.numbers["proven_upto"] == MESSAGES


def test_what_cannot_be_asked_is_not_green(stored: TestLane) -> None:
    """Without the catalog its checks are unknown and red; the others go on."""
    stored.overrides["IOT_CATALOG__URI"] = "http://127.0.0.1:9"

    found = verdicts(stored)

    assert found[FRESH_HOT].passed
    for check in (CHAIN, WATERMARK, FRESH_LAKE, PROOF_AGE):
        assert not found[check].passed
        assert not found[check].known
        assert found[check].text.startswith("could not be evaluated: Iceberg: ")

    stored.overrides["IOT_NATS__URL"] = "nats://127.0.0.1:9"
    found = verdicts(stored)
    assert not any(one.known for one in found.values())
    assert "NATS: " in found[FRESH_HOT].text


def test_the_sensor_tells_changes_and_no_more(stored: TestLane) -> None:
    """The first look reports everything, a second one nothing, a stopped writer one red check."""
    from pipelines.defs.quality.sensors import checks_sensor

    stored.overrides |= {"IOT_QUALITY__FRESH_LAKE_S": "0.2"}
    scope = Scope(stored.contract, str(stored.contract_file))
    sensor = checks_sensor(scope, QualitySettings())

    def tick(cursor: str | None) -> tuple[dict[str, bool], str | None]:
        context = dg.build_sensor_context(
            cursor=cursor, resources={"lakehouse": lakehouse_of(stored)}
        )
        result = sensor.evaluate_tick(context)
        told = {one.check_name: one.passed for one in result.asset_events}
        return told, result.cursor

    told, cursor = tick(None)
    assert set(told) == set(quality_cheap.CHECKS)
    assert tick(cursor)[0] == {}

    stored.publish(stored.readings(5))
    until(lambda: not verdicts(stored, STRICT)[FRESH_LAKE].passed, "old enough")
    told, cursor = tick(cursor)
    assert told == {FRESH_LAKE: False}

    store(stored, MESSAGES + 5)
    assert tick(cursor)[0] == {FRESH_LAKE: True}


def test_a_missing_stream_is_told(stored: TestLane) -> None:
    """A stream that somebody deleted leaves its checks unknown, with the reason."""

    async def remove(link: NatsLink) -> None:
        await link.js.delete_stream(stored.stream)

    stored.run_async(remove)

    found = verdicts(stored)
    assert not found[FRESH_HOT].known
    assert f"NATS has no stream {stored.stream!r}" in found[FRESH_HOT].text
