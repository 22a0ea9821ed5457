"""Two lanes as the maintenance sees them: nothing is green, dropped or fresh for one lane alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest.hot_entry import HotEntry
from ingest.proof.iceberg_side import iceberg_side
from pipelines.defs.hot.assets import seen_lately
from pipelines.defs.quality.sensors import checks_sensor, nothing_to_prove
from pipelines.defs.stream.dead_letters import report
from pipelines.hot_retention import Verdict, retire
from pipelines.lanes import lanes_of
from pipelines.quality_cheap import CHECKS, FRESH_LAKE, REFUSED
from pipelines.quality_lanes import cheap_verdicts
from pipelines.quality_look import look_at
from pipelines.settings import QualitySettings
from pipelines.storage_days import partitions
from tests.integration.pipelines.later import set_clock
from tests.integration.pipelines.test_last_seen import metadata_of
from tests.integration.pipelines.test_quality_cheap import BOUNDS, STRICT
from tests.integration.pipelines.test_rehydrate import bring_back, day_of, everything
from tests.integration.pipelines.test_watermarks import evaluate, materialised, observed
from tests.integration.proof.scenario import MESSAGES, payloads, proof, provision, store
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane
from tests.support.nth_lane import NthLane, nth, two_lanes
from tests.support.waiting import until

SECOND = 120
"""Messages of the second lane."""


@pytest.fixture
def laned(lane: TestLane) -> TestLane:
    """A contract of two lanes after init, without a message."""
    two_lanes(lane)
    provision(lane)
    return lane


@pytest.fixture
def both(laned: TestLane) -> list[NthLane]:
    """The two lanes with messages in both sinks."""
    lanes = two_lanes(laned)
    for one, count in zip(lanes, (MESSAGES, SECOND), strict=True):
        one.publish(payloads(count))
        store(one, count)
    return lanes


def cheap(lane: TestLane, bounds: QualitySettings = BOUNDS) -> dict[str, Any]:
    """Every cheap verdict over both lanes."""
    looks = look_at(lanes_of(lane.settings, lane.contract))
    return {one.check: one for one in cheap_verdicts(looks, bounds)}


def retired(lane: TestLane) -> Verdict:
    """What becomes of the only day of the hot table."""
    client = lane.clickhouse()
    try:
        (day,) = partitions(client, lane.contract)
        settings, contract = lane.settings, lane.contract
        return retire(settings, client, contract, day, iceberg_side, dry_run=False)
    finally:
        client.close()


def grown_old(lane: TestLane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten days pass; two are kept."""
    lane.overrides["IOT_HOT__RETENTION_DAYS"] = "2"
    set_clock(monkeypatch)


def test_the_checks_hold_over_both_lanes(laned: TestLane, both: list[NthLane]) -> None:
    """One green verdict a check, with the numbers of each lane under its name."""
    found = cheap(laned)

    assert set(found) == set(CHECKS)
    assert {name for name, one in found.items() if not one.passed} == set()
    numbers = found[FRESH_LAKE].numbers
    first, second = (one.stream for one in both)
    assert (numbers[f"position/{first}"], numbers[f"position/{second}"]) == (MESSAGES, SECOND)
    assert found[REFUSED].text.count(" messages of the last hour were refused") == 2


def test_one_lane_that_is_not_stored_is_red_and_named(laned: TestLane, both: list[NthLane]) -> None:
    """The lake lacks five messages of the second lane, and says so of that lane alone."""
    both[1].publish(both[1].readings(5))

    found = until(
        lambda: one if not (one := cheap(laned, STRICT))[FRESH_LAKE].passed else None, "red"
    )

    text = found[FRESH_LAKE].text
    assert text.startswith(f"{both[1].stream}: Iceberg lacks 5 messages after {SECOND}")
    assert f"{both[0].stream}:" not in text


def test_the_sensors_tell_a_lane_once(laned: TestLane, both: list[NthLane]) -> None:
    """A second look is no news; the proof of one lane alone is asked for."""
    sensor = checks_sensor(scope_of(laned), QualitySettings())

    def tick(cursor: str | None) -> Any:
        resources = {"lakehouse": lakehouse_of(laned)}
        return sensor.evaluate_tick(dg.build_sensor_context(cursor=cursor, resources=resources))

    first = tick(None)
    again = tick(first.cursor)
    assert (len(first.asset_events), len(again.asset_events)) == (len(CHECKS), 0)

    assert proof(both[0])["proven"]
    looks = look_at(lanes_of(laned.settings, laned.contract))
    assert nothing_to_prove(looks) is None
    assert proof(both[1])["proven"]
    told = nothing_to_prove(look_at(lanes_of(laned.settings, laned.contract)))
    assert told is not None
    assert f"{both[1].stream}: everything that both sinks hold is proven, up to {SECOND}" in told


def test_a_day_is_dropped_when_it_is_proven_in_both_lanes(
    laned: TestLane, both: list[NthLane], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one lane proven it is kept, and the other lane is named; with both it goes."""
    assert proof(both[0])["proven"]
    grown_old(laned, monkeypatch)

    kept = retired(laned)

    assert not kept.dropped
    assert kept.why.startswith(f"{both[1].stream}: sequences 1-{SECOND} ")
    assert "not proven" in kept.why
    assert len(everything(laned)) > 2

    assert proof(nth(laned, 1))["proven"]
    assert retired(laned).dropped
    assert everything(laned) == "[]"


def test_a_day_that_one_lane_may_still_write_is_kept(
    laned: TestLane, both: list[NthLane], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages that are unread in the second lane keep the day of both."""
    for one in both:
        assert proof(one)["proven"]
    both[1].publish(both[1].readings(3))
    grown_old(laned, monkeypatch)

    kept = retired(laned)

    assert kept.why.startswith(f"{both[1].stream}: the hot path is at sequence {SECOND} of ")


def test_a_lane_without_a_message_keeps_no_day(
    laned: TestLane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lane that was added and is not mapped yet holds neither retention nor rehydration up."""
    (first, _) = two_lanes(laned)
    first.publish(payloads())
    store(first, MESSAGES)
    assert proof(first)["proven"]
    day = day_of(laned)
    before = everything(laned)
    grown_old(laned, monkeypatch)

    assert retired(laned).dropped
    done = bring_back(laned, day, tmp_path / "day")

    assert everything(laned) == before
    assert done.lanes[f"{laned.stream}_1"] == (0, 0)


def test_a_day_comes_back_with_the_rows_of_both_lanes(
    laned: TestLane, both: list[NthLane], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each lane's rows exactly once, proven by its own ledger; a repetition adds nothing."""
    for one in both:
        assert proof(one)["proven"]
    before, day = everything(laned), day_of(laned)
    grown_old(laned, monkeypatch)
    assert retired(laned).dropped

    done = bring_back(laned, day, tmp_path / "first")

    assert everything(laned) == before
    rows = {lane: inserted for lane, (_, inserted) in done.lanes.items()}
    assert sum(rows.values()) == done.inserted == done.rows
    assert set(rows) == {one.stream for one in both}
    assert min(rows.values()) > 0
    assert done.proven == 2
    assert bring_back(laned, day, tmp_path / "second").inserted == 0
    assert everything(laned) == before
    assert "rehydrated" in retired(laned).why


def test_a_table_is_not_fresh_while_one_lane_stands_still(
    laned: TestLane, both: list[NthLane]
) -> None:
    """The hot table moves with the first lane and is reported as lagging by the second."""
    result = evaluate(laned)
    numbers = materialised(result)["clickhouse"]
    assert numbers[f"watermark/{both[1].stream}"] == SECOND
    assert numbers["dagster/row_count"] == len(laned.hot_rows())
    both[0].publish(both[0].readings(10))
    both[1].publish(both[1].readings(7))
    store(both[0], MESSAGES + 10, "hot")

    stuck = evaluate(laned, result.cursor)

    assert "clickhouse" not in materialised(stuck)
    lagging = observed(stuck)["clickhouse"]
    assert lagging["lag_messages"] == lagging[f"lag_messages/{both[1].stream}"] == 7
    store(both[1], SECOND + 7, "hot")
    assert "clickhouse" in materialised(evaluate(laned, stuck.cursor))


def test_dead_letters_are_told_by_lane(laned: TestLane, both: list[NthLane]) -> None:
    """All refusals together, each example with its lane."""
    result = dg.materialize([report(scope_of(laned))], resources={"lakehouse": lakehouse_of(laned)})

    metadata = metadata_of(result)

    first, second = (one.stream for one in both)
    assert (metadata[f"open/{first}"], metadata[f"open/{second}"]) == (3, 2)
    assert metadata["open"] == 5
    assert f"| {second} | 51 |" in metadata["examples"]


def test_silence_is_judged_as_of_the_lane_that_is_furthest_behind(
    laned: TestLane, both: list[NthLane]
) -> None:
    """Devices of a lane whose writer stands still are not silent."""
    both[1].publish(both[1].readings(1))
    entry = both[1].hot_entry()
    assert isinstance(entry, HotEntry)

    seen = seen_lately(scope_of(laned), lakehouse_of(laned))

    assert seen.as_of_s == entry.done.stored_at_us / 1e6
