"""Questions to both sinks, with their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from clickhouse_connect.driver.client import Client

from ingest import catalog
from ingest.contract import Contract
from ingest.settings import Settings

LATEST = (
    "SELECT device_id, argMax(value, ts) AS latest, max(ts) AS measured_at FROM {table}"
    " WHERE metric = 'temperature' GROUP BY device_id ORDER BY device_id LIMIT 5"
)
ROLLUP = (
    "SELECT minute, sum(count) AS readings, sum(sum) / sum(count) AS mean, min(min), max(max)"
    " FROM {table}_1m WHERE metric = 'temperature' GROUP BY minute ORDER BY minute DESC LIMIT 5"
)
WARMEST = (
    "SELECT toDate(ts - INTERVAL 8 HOUR) AS day, max(value) AS warmest, min(value) AS coldest"
    " FROM {table} GROUP BY day ORDER BY warmest DESC LIMIT 3"
)
DAY = (
    "SELECT metric, count() AS readings, min(value), max(value) FROM {table}"
    " WHERE toDate(ts, 'UTC') = {{day:Date}} GROUP BY metric ORDER BY metric"
)


@dataclass(frozen=True)
class Answer:
    """A question, how it was asked, and its answer as texts."""

    question: str
    asked: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def latest(client: Client, contract: Contract) -> Answer:
    """The latest temperature of five devices, from ClickHouse."""
    asked = LATEST.format(table=_table(contract))
    rows = [
        (device, f"{value:.2f}", _clock(at))
        for device, value, at in client.query(asked).result_rows
    ]
    return Answer(
        "Latest temperature of five devices, from ClickHouse",
        asked,
        ("device", "latest", "measured at"),
        rows,
    )


def rollup(client: Client, contract: Contract) -> Answer:
    """The last five minutes of the rollup, from ClickHouse."""
    asked = ROLLUP.format(table=_table(contract))
    rows = [
        (_clock(minute), f"{count:,}", *(f"{value:.2f}" for value in values))
        for minute, count, *values in client.query(asked).result_rows
    ]
    columns = ("minute", "readings", "mean", "min", "max")
    return Answer("Temperature by the minute, from the rollup in ClickHouse", asked, columns, rows)


def warmest(client: Client, contract: Contract) -> Answer:
    """The warmest days of the real series, from ClickHouse."""
    asked = WARMEST.format(table=_table(contract))
    rows = [
        (str(day), f"{high:.1f}", f"{low:.1f}")
        for day, high, low in client.query(asked).result_rows
    ]
    columns = ("day", "warmest", "coldest")
    return Answer("Warmest days of the real series, degrees Fahrenheit", asked, columns, rows)


def same_day(client: Client, contract: Contract, settings: Settings) -> Answer:
    """The newest day by metric: Iceberg's data files beside ClickHouse's table."""
    table = _table(contract)
    day: date = client.query(f"SELECT toDate(max(ts), 'UTC') FROM {table}").result_rows[0][0]
    query = DAY.format(table=table)
    hot = {row[0]: row[1:] for row in client.query(query, parameters={"day": day}).result_rows}
    lake = _day_in_iceberg(contract, settings, day)
    nothing = (0, 0.0, 0.0)
    rows = [
        (
            metric,
            *(f"{side.get(metric, nothing)[0]:,}" for side in (lake, hot)),
            *(f"{side.get(metric, nothing)[2]:,.2f}" for side in (lake, hot)),
        )
        for metric in sorted({*lake, *hot})
    ]
    columns = ("metric", "Iceberg", "ClickHouse", "highest, Iceberg", "ClickHouse")
    asked = f"pyiceberg scans the files of {table} alone; ClickHouse answers from its own table"
    return Answer(f"The day {day} by metric, from both sinks", asked, columns, rows)


def _day_in_iceberg(
    contract: Contract, settings: Settings, day: date
) -> dict[str, tuple[int, float, float]]:
    """Rows, least and largest value by metric, read from the data files by pyiceberg."""
    first = datetime.combine(day, time(), UTC)
    last = first + timedelta(days=1)
    scan = (
        catalog.connect(settings)
        .load_table(_table(contract))
        .scan(
            row_filter=f"ts >= '{first.isoformat()}' AND ts < '{last.isoformat()}'",
            selected_fields=("metric", "value"),
        )
    )
    grouped = (
        scan.to_arrow()
        .group_by("metric")
        .aggregate([("value", "count"), ("value", "min"), ("value", "max")])
    )
    columns = ("metric", "value_count", "value_min", "value_max")
    values = (grouped.column(name).to_pylist() for name in columns)
    return {metric: (count, low, high) for metric, count, low, high in zip(*values, strict=True)}


def _clock(at: datetime) -> str:
    return at.strftime("%H:%M:%S")


def _table(contract: Contract) -> str:
    return f"{contract.namespace}.{contract.table}"
