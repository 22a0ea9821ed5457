"""An insert is one part, counted once, fast, and survives a kill once it is acknowledged."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from devstack.supervisor import Devstack
from tests.integration.devstack.conftest import Connect

DAY_US = 86_400_000_000
NEW_YEAR_US = 1_767_225_600_000_000

TABLE = """
CREATE TABLE readings (
    device_id String,
    metric LowCardinality(String),
    ts DateTime64(6, 'UTC'),
    value Float64,
    _seq UInt64,
    _stored_at DateTime64(6, 'UTC'),
    PROJECTION by_minute (
        SELECT metric, device_id, toStartOfMinute(ts), count(), sum(value)
        GROUP BY metric, device_id, toStartOfMinute(ts)
    )
)
ENGINE = MergeTree PARTITION BY toDate(_stored_at) ORDER BY (metric, device_id, ts, _seq)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1,
    fsync_part_directory = 1
"""


def batch(rows: int, first: int = 0) -> pa.Table:
    """One record batch stored on one day, its event times spread over 37 days."""
    numbers = np.arange(first, first + rows)
    utc = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "device_id": pa.array([f"device-{number % 500}" for number in numbers]),
            "metric": pa.array(["temperature", "humidity"] * (rows // 2)),
            "ts": pa.array(NEW_YEAR_US + numbers * (37 * DAY_US // (first + rows)), utc),
            "value": pa.array(np.sin(numbers)),
            "_seq": pa.array(numbers, pa.uint64()),
            "_stored_at": pa.array(np.full(rows, NEW_YEAR_US + 40 * DAY_US), utc),
        }
    )


def parts(client: Client) -> list[tuple[Any, ...]]:
    """Partition and rows of every active part."""
    rows = client.query(
        "SELECT partition, rows FROM system.parts WHERE active AND table = 'readings' "
        "AND database = currentDatabase() ORDER BY name"
    ).result_rows
    return list(rows)


@pytest.mark.parametrize("rows", [2, 10_000, 200_000])
def test_one_arrow_batch_is_one_part(connect: Connect, rows: int) -> None:
    """Whatever its event times, with a projection and fsync: all or nothing."""
    client = connect()
    client.command(TABLE)
    client.insert_arrow("readings", batch(rows))
    assert parts(client) == [("2026-02-10", rows)]


def test_a_repeated_token_inserts_nothing(connect: Connect) -> None:
    """The same token is one insert, in the table and in its projection; another one counts."""
    client = connect()
    client.command(TABLE)
    for token in ("a", "a", "a", "b"):
        given = {"insert_deduplication_token": token}
        client.insert_arrow("readings", batch(1000), settings=given)
    assert len(parts(client)) == 2
    rollup = "SELECT sum(c) FROM (SELECT count() AS c FROM readings GROUP BY metric, device_id)"
    assert client.query("SELECT count() FROM readings").result_rows == [(2000,)]
    assert client.query(rollup).result_rows == [(2000,)]


def test_a_bad_batch_leaves_nothing_behind(connect: Connect) -> None:
    """A batch that ends in the middle or does not fit the table is refused whole."""
    client = connect()
    client.command(TABLE)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch(1000).schema) as writer:
        writer.write_table(batch(1000))
    whole = sink.getvalue().to_pybytes()
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError):
        client.raw_insert("readings", insert_block=whole[: len(whole) // 2], fmt="Arrow")
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError):
        client.insert_arrow("readings", pa.table({"value": pa.array(["no number"])}))
    assert parts(client) == []


def test_fifty_thousand_rows_take_a_fraction_of_a_second(connect: Connect) -> None:
    """A bound far above what it takes, so that only a change of kind breaks it."""
    client = connect()
    client.command("CREATE TABLE t (n UInt64, x Float64) ENGINE = MergeTree ORDER BY n")
    table = pa.table({"n": pa.array(range(50_000), pa.uint64()), "x": pa.array([0.5] * 50_000)})
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        client.insert_arrow("t", table)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.25


def test_acknowledged_rows_survive_a_kill(tmp_path: Path) -> None:
    """SIGKILL between inserts: every acknowledged row and token is there after the restart.

    Tables in `default` are kept like all others, over kills and over a stop.
    """
    with Devstack(tmp_path, services=("clickhouse",), ephemeral_ports=True) as stack:
        url = stack.env["IOT_CLICKHOUSE__URL"]
        with clickhouse_connect.get_client(dsn=url) as client:
            client.command(TABLE)
        plain = stack.clickhouse_url("admin").replace("/iot", "/default")
        with clickhouse_connect.get_client(dsn=plain) as client:
            client.command("CREATE TABLE t (n Int32) ENGINE = MergeTree ORDER BY n")
        for turn in range(2):
            with clickhouse_connect.get_client(dsn=url) as client:
                for number in range(5):
                    first = (turn * 5 + number) * 1000
                    given = {"insert_deduplication_token": f"t{first}"}
                    client.insert_arrow("readings", batch(1000, first), settings=given)
                stack.kill("clickhouse")
            began = time.monotonic()
            stack.start_service("clickhouse")
            assert time.monotonic() - began < 10
            with clickhouse_connect.get_client(dsn=url) as client:
                held = "SELECT count(), uniqExact(_seq) FROM readings"
                rows = (turn + 1) * 5000
                assert client.query(held).result_rows == [(rows, rows)]
                client.insert_arrow("readings", batch(1000, first), settings=given)
                assert client.query(held).result_rows == [(rows, rows)]
            with clickhouse_connect.get_client(dsn=plain) as client:
                client.command(f"INSERT INTO t VALUES ({turn})")
    with Devstack(tmp_path, services=("clickhouse",), ephemeral_ports=True) as stack:
        plain = stack.clickhouse_url("admin").replace("/iot", "/default")
        with clickhouse_connect.get_client(dsn=plain) as client:
            assert client.query("SELECT n FROM t ORDER BY n").result_rows == [(0,), (1,)]
