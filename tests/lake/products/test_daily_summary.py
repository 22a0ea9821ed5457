"""The daily summary on real servers: exact, incremental, replaced as a whole, late data too."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.cancel import Cancel
from pipelines.daily_summary import DailySummary, due
from pipelines.trino_client import Trino
from tests.support.lakehouse import lakehouse_of
from tests.support.lane import ROOT, TestLane, reading

pytestmark = pytest.mark.timeout(240)
TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)


def at(day: date, hour: int = 12, minute: int = 0) -> str:
    """A moment of the day."""
    return f"{day.isoformat()}T{hour:02}:{minute:02}:00Z"


def at_ms(day: date) -> int:
    """Just after the day's midnight, in milliseconds since the Unix epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) + 1


def summary_of(lane: TestLane, trino: Trino) -> DailySummary:
    """The summary of the lane's table."""
    return DailySummary(trino, lane.contract, lane.sink(), late_after_s=3600.0)


def rows_of(lane: TestLane, trino: Trino, day: date) -> list[dict[str, Any]]:
    """The day's rows by column."""
    names = [
        *("device_id", "readings", "least", "most", "mean", "first_value", "last_value"),
        *("late", "late_share", "upto_sequence"),
    ]
    table = f"{lane.table}_daily"
    found = trino.query(
        f"SELECT {', '.join(names)} FROM {table} WHERE day = DATE '{day}' ORDER BY device_id"
    )
    return [dict(zip(names, row, strict=True)) for row in found]


def store(lane: TestLane, payloads: list[bytes], upto: int) -> None:
    """Publishes and waits until the lake holds everything."""
    lane.publish(payloads)
    lane.wait_lake(upto)


def test_a_day_is_summarised_and_late_data_asks_for_it_again(
    lake_lane: TestLane, trino: Trino
) -> None:
    """Count, extremes, mean, first and last are right; a late reading replaces the whole day."""
    lane = lake_lane
    lane.init()
    lane.start("hot")
    lane.start("lake")
    first = [
        reading(0, device_id="a", ts=at(YESTERDAY, 1), value=3.0),
        reading(1, device_id="a", ts=at(YESTERDAY, 9), value=1.0),
        reading(2, device_id="b", ts=at(YESTERDAY, 23, 59), value=-5.5),
        reading(3, device_id="a", value=7.0),
    ]
    store(lane, first, 4)
    daily = summary_of(lane, trino)

    found = daily.outdated()
    assert [(one.day, one.lake_readings, one.summarised) for one in found] == [
        (YESTERDAY, 3, 0),
        (TODAY, 1, 0),
    ]
    source = daily.source()
    assert source is not None
    assert source.sequence == 4
    made = daily.summarise(YESTERDAY, source, Cancel())
    assert (made.rows, made.readings, made.before) == (2, 3, 0)
    assert made.hours == {1: 1, 9: 1, 23: 1}
    a, b = rows_of(lane, trino, YESTERDAY)
    assert (a["readings"], a["least"], a["most"], a["mean"]) == (2, 1.0, 3.0, 2.0)
    assert (a["first_value"], a["last_value"], a["upto_sequence"]) == (3.0, 1.0, 4)
    assert (a["late"], a["late_share"]) == (2, 1.0)
    assert (b["readings"], b["least"]) == (1, -5.5)
    assert [one.day for one in daily.outdated()] == [TODAY]

    again = daily.summarise(YESTERDAY, source, Cancel())
    assert (again.rows, again.readings, again.before) == (2, 3, 3)
    assert rows_of(lane, trino, YESTERDAY) == [a, b]

    store(lane, [reading(9, device_id="a", ts=at(YESTERDAY, 0, 1), value=100.0)], 5)
    late = [one for one in daily.outdated() if one.day == YESTERDAY]
    assert [(one.lake_readings, one.summarised) for one in late] == [(4, 3)]
    newer = daily.source()
    assert newer is not None
    daily.summarise(YESTERDAY, newer, Cancel())
    a = rows_of(lane, trino, YESTERDAY)[0]
    assert (a["readings"], a["most"], a["first_value"]) == (3, 100.0, 100.0)
    assert a["upto_sequence"] == 5
    assert YESTERDAY not in [one.day for one in daily.outdated()]


def test_a_summary_reads_one_snapshot(lake_lane: TestLane, trino: Trino) -> None:
    """Readings that come after the snapshot was chosen are not in its summary, and ask again."""
    lane = lake_lane
    lane.init()
    lane.start("lake")
    store(lane, [reading(0, device_id="a", ts=at(YESTERDAY))], 1)
    daily = summary_of(lane, trino)
    source = daily.source()
    assert source is not None
    store(lane, [reading(1, device_id="a", ts=at(YESTERDAY))], 2)

    made = daily.summarise(YESTERDAY, source, Cancel())

    assert made.readings == 1
    assert [(one.lake_readings, one.summarised) for one in daily.outdated()] == [(2, 1)]


def test_a_table_with_months_as_partitions(trino_stack: object, tmp_path: Path) -> None:
    """Days inside of a month that changed are counted; the others are left alone."""
    source = ROOT / "ingest" / "contracts" / "weather.toml"
    with TestLane(trino_stack, tmp_path, secrets.token_hex(4), source) as lane:
        lane.init()
        lane.start("lake")
        today = f'{{"air": {{"temp": 3.5}}, "time": {at_ms(TODAY)}}}'.encode()
        before = f'{{"air": {{"temp": 1.5}}, "time": {at_ms(YESTERDAY)}}}'.encode()
        lane.publish([before, before, today], "de.berlin")
        lane.wait_lake(3)
        trino = lakehouse_of(lane).trino()
        daily = summary_of(lane, trino)
        source_of = daily.source()
        assert source_of is not None

        found = {one.day: one.lake_readings for one in daily.outdated()}
        assert found == {YESTERDAY: 2, TODAY: 1}
        made = daily.summarise(YESTERDAY, source_of, Cancel())

        assert (made.rows, made.readings) == (1, 2)
        assert [one.day for one in daily.outdated()] == [TODAY]


def test_a_device_that_vanished_from_the_lake_leaves_the_summary(
    lake_lane: TestLane, trino: Trino, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replaced day keeps no row of a group that has no reading any more."""
    lane = lake_lane
    monkeypatch.setattr("pipelines.daily_summary.MAX_SNAPSHOTS", 1)  # expires on the way
    lane.init()
    lane.start("lake")
    store(lane, [reading(0, device_id=name, ts=at(YESTERDAY)) for name in ("a", "b")], 2)
    daily = summary_of(lane, trino)
    source = daily.source()
    assert source is not None
    daily.summarise(YESTERDAY, source, Cancel())
    trino.execute(f"DELETE FROM {lane.table} WHERE device_id = 'b'")

    newer = daily.source()
    assert newer is not None
    daily.summarise(YESTERDAY, newer, Cancel())

    assert [row["device_id"] for row in rows_of(lane, trino, YESTERDAY)] == ["a"]
    assert daily.outdated() == []


def test_days_are_due_oldest_first_and_within_the_bounds() -> None:
    """Days before the first one and after today wait; the rest comes in order, a few at a time."""
    from pipelines.daily_summary import OutdatedDay

    days = [date(2020, 1, 1), date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]
    outdated = [OutdatedDay(day, 1, 0) for day in days]

    found = due(outdated, date(2025, 1, 1), date(2026, 1, 2), 5)

    assert [one.day for one in found] == [date(2026, 1, 1), date(2026, 1, 2)]
    assert [one.day for one in due(outdated, date(2025, 1, 1), date(2026, 1, 2), 1)] == [
        date(2026, 1, 1)
    ]
