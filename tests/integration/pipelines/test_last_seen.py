"""Silence by a device's own habit, on a real hot table."""

from __future__ import annotations

import time
from typing import Any

import dagster as dg
import pytest

from ingest.stream_info import message_at
from pipelines.defs.hot.assets import last_seen, seen_lately
from pipelines.last_seen import Device, device_column, silent
from pipelines.report.products import SILENT
from pipelines.resources.guard import BudgetGuard
from tests.support.lakehouse import lakehouse_of, scope_of
from tests.support.lane import TestLane, reading
from tests.support.waiting import until

HOUR = 3600


def heard_at(lane: TestLane, device: str, ages_s: list[int]) -> None:
    """Rows of a device stored that long ago, as if it had been heard then."""
    client = lane.clickhouse()
    try:
        for number, age_s in enumerate(ages_s):
            client.command(
                f"INSERT INTO {lane.table} (device_id, site, metric, ts, value, unit, quality,"
                " attributes, _seq, _idx, _lane, _epoch, _stored_at) SELECT"
                f" '{device}', 's', 'm', now64(6) - {age_s}, 1.0, '', '', map(),"
                f" {number + 1}, 0, '{lane.stream}', 'e', now64(6) - {age_s}"
            )
    finally:
        client.close()


@pytest.fixture
def fleet(lane: TestLane) -> TestLane:
    """Three devices with habits, one heard once; the hot path has nothing unread."""
    lane.init()
    lane.start("hot")
    lane.publish([reading(0, device_id="fresh")])
    lane.wait_hot(1)
    heard_at(lane, "chatty", [60 * n for n in range(30, 60)])
    heard_at(lane, "slow", [HOUR * n for n in range(2, 12)])
    heard_at(lane, "steady", [600 * n for n in range(1, 20)])
    heard_at(lane, "once", [20 * HOUR])
    return lane


def test_devices_are_silent_by_their_own_habit(fleet: TestLane) -> None:
    """A minute's device is silent after half an hour; an hour's device is not, after two."""
    seen = seen_lately(scope_of(fleet), lakehouse_of(fleet))

    assert {one.name for one in seen.devices} == {"chatty", "slow", "steady", "once", "fresh"}
    intervals = {one.name: one.interval_s for one in seen.devices}
    assert intervals["chatty"] == pytest.approx(60, abs=2)
    assert intervals["slow"] == pytest.approx(HOUR, abs=2)
    assert intervals["once"] is None
    (quiet,) = seen.silent
    assert quiet.device.name == "chatty"
    assert quiet.allowed_s == pytest.approx(300, abs=10)
    assert quiet.quiet_s == pytest.approx(1800, abs=60)


def test_devices_of_long_ago_are_forgotten(fleet: TestLane) -> None:
    """A device that was not heard for longer than the setting is neither known nor silent."""
    heard_at(fleet, "gone", [86_400 * 5 + 60 * n for n in range(10)])
    seen = seen_lately(scope_of(fleet), lakehouse_of(fleet))
    assert "gone" not in {one.name for one in seen.devices}


def test_what_the_hot_path_has_not_stored_is_no_silence(lane: TestLane) -> None:
    """With messages unread, silence is judged as of the newest stored one."""
    lane.init()
    hot = lane.start("hot")
    lane.publish([reading(0, device_id="a")])
    lane.wait_hot(1)
    hot.drain()
    lane.publish([reading(1, device_id="a")])
    entry = lane.hot_entry()
    assert entry is not None

    seen = seen_lately(scope_of(lane), lakehouse_of(lane))

    assert seen.as_of_s == entry.done.stored_at_us / 1e6


def test_the_asset_tells_silent_devices_as_metadata(fleet: TestLane) -> None:
    """Numbers to plot, a table to read, and the devices that alerts are made from."""
    lakehouse = lakehouse_of(fleet, IOT_BUDGET__CPU_BUSY_MAX="2", IOT_BUDGET__HOT_LAG_MAX_S="60")
    resources = {"lakehouse": lakehouse, "guard": BudgetGuard(lakehouse=lakehouse)}
    result = dg.materialize([last_seen(scope_of(fleet))], resources=resources)
    metadata = metadata_of(result)
    assert (metadata["devices"], metadata["silent"]) == (5, 1)
    assert list(metadata[SILENT]) == ["chatty"]
    assert "chatty" in metadata["silent for longest"]


@pytest.mark.chaos
def test_a_hot_path_in_trouble_is_not_asked(fleet: TestLane) -> None:
    """The look is left for later, with the numbers that speak against it."""
    fleet.writers[0].drain()
    fleet.publish([reading(1)])
    until(lambda: age_of_unread(fleet) > 1, "a lag")
    lakehouse = lakehouse_of(fleet, IOT_BUDGET__CPU_BUSY_MAX="2", IOT_BUDGET__HOT_LAG_MAX_S="1")
    resources = {"lakehouse": lakehouse, "guard": BudgetGuard(lakehouse=lakehouse)}

    result = dg.materialize([last_seen(scope_of(fleet))], resources=resources)

    assert result.success
    assert not result.get_asset_materialization_events()
    (told,) = result.get_asset_observation_events()
    assert "1 s allowed" in str(told.asset_observation_data.asset_observation.metadata)


def age_of_unread(lane: TestLane) -> float:
    """Seconds since the newest message was stored."""
    last = lane.state().last_seq
    message = lane.run_async(lambda link: message_at(link, lane.stream, last))
    assert message is not None
    return time.time() - message.stored_at_ns / 1e9


def test_bounds_of_silence() -> None:
    """Quiet up to the bound is no silence, nor is a device that was heard a single time."""
    heard = [
        Device("at the bound", 500, 100.0, 9),
        Device("beyond", 499, 100.0, 9),
        Device("fast", 900, 0.1, 9),
        Device("once", 0, None, 1),
    ]
    found = silent(heard, 1000.0, intervals=5.0, least_s=300.0)
    assert [one.device.name for one in found] == ["beyond"]


def test_a_contract_names_its_device(lane: TestLane) -> None:
    """The business key begins with the device."""
    assert device_column(lane.contract) == "device_id"


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Metadata of the one materialisation."""
    (event,) = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    return {name: one.value for name, one in metadata.items()}
