"""Arrow, ClickHouse and Iceberg schemas of one contract agree, and the real engines take them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema, assign_fresh_schema_ids

from ingest.contract import Column, ColumnType, Contract, load_contract, packaged_contracts
from ingest.decode import Decoder
from ingest.errors import SchemaMismatchError
from ingest.messages import Messages
from ingest.ranges import SequenceRange
from ingest.sinks.clickhouse_schema import (
    add_column_statements,
    create_statements,
    table_columns,
)
from ingest.sinks.iceberg_schema import (
    iceberg_schema,
    partition_spec,
    sort_order,
    table_properties,
)

HERE = Path(__file__).parent
NAMES = [*packaged_contracts(), str(HERE / "valid" / "every_type.toml")]
# 1950-01-01T00:01:30Z and 2200-06-01T12:00:59.999999Z: outside of what a 32-bit time holds.
OLD_US, FAR_US = -631_151_910_000_000, 7_271_208_059_999_999


def ask_engine(steps: list[dict[str, str]]) -> list[list[list[Any]]]:
    """The answers of a fresh embedded ClickHouse."""
    done = subprocess.run(
        [sys.executable, str(HERE / "clickhouse_engine.py")],
        input=json.dumps(steps),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[list[list[Any]]] = json.loads(done.stdout)
    return answers


def run(statements: list[str]) -> list[dict[str, str]]:
    """Steps that run the statements."""
    return [{"sql": statement} for statement in statements]


def columns_of(contract: Contract) -> dict[str, str]:
    """The step that asks for names and types of the table's columns."""
    query = (
        "SELECT name, type FROM system.columns WHERE database = "
        f"'{contract.namespace}' AND table = '{contract.table}' ORDER BY position"
    )
    return {"ask": query}


def messages(payloads: list[bytes], stored_us: list[int]) -> Messages:
    """Messages with the sequences from 1, stored at these microseconds."""
    count = len(payloads)
    return Messages(
        np.arange(1, count + 1),
        np.array(stored_us) * 1000,
        ["history.a"] * count,
        payloads,
        SequenceRange(1, count),
    )


@pytest.mark.parametrize("name", NAMES, ids=lambda name: Path(name).stem)
def test_arrow_and_iceberg_agree(name: str) -> None:
    """Columns, order, types and what may be null are the same; maps are optional in Iceberg."""
    contract = load_contract(name)
    lake = schema_to_pyarrow(iceberg_schema(contract), include_field_ids=False)

    assert contract.arrow_schema.names == lake.names
    for field in contract.arrow_schema:
        other = lake.field(field.name)
        if pa.types.is_map(field.type):
            assert (field.type.key_type, field.type.item_type) == (pa.string(), pa.string())
            assert pa.types.is_map(other.type)
            assert other.nullable
            continue
        assert field.type == _as_small(other.type), field.name
        assert field.nullable == other.nullable, field.name


def _as_small(kind: pa.DataType) -> pa.DataType:
    """The type without the large offsets by which pyiceberg names strings."""
    return pa.string() if kind == pa.large_string() else kind


@pytest.mark.parametrize("name", NAMES, ids=lambda name: Path(name).stem)
def test_iceberg_ids_are_those_that_a_catalog_assigns(name: str) -> None:
    """A catalog numbers a new table's fields itself; ours are already the same."""
    schema: Schema = iceberg_schema(load_contract(name))

    assert assign_fresh_schema_ids(schema) == schema


def test_iceberg_layout_of_readings() -> None:
    """Partitioned by day of the event time, sorted by the key, old metadata deleted."""
    contract = load_contract("readings")
    schema = iceberg_schema(contract)
    spec, order = partition_spec(contract, schema), sort_order(contract, schema)

    assert [(field.source_id, field.name, str(field.transform)) for field in spec.fields] == [
        (4, "ts_day", "day")
    ]
    names = [schema.find_column_name(field.source_id) for field in order.fields]
    assert names == ["metric", "device_id", "ts", "_seq", "_idx"]
    properties = table_properties(contract)
    assert properties["write.metadata.delete-after-commit.enabled"] == "true"
    assert properties["write.parquet.compression-codec"] == "zstd"
    assert not [name for name in properties if name.startswith("commit.retry")]


def test_clickhouse_creates_every_contract_as_declared() -> None:
    """The server names each column and type as the contract does, in the order of Arrow."""
    contracts = [load_contract(name) for name in NAMES]
    steps: list[dict[str, str]] = []
    for contract in contracts:
        steps += run(create_statements(contract))
        steps += run(create_statements(contract))
        steps.append(columns_of(contract))

    answers = ask_engine(steps)

    for contract, answer in zip(contracts, answers, strict=True):
        assert list(table_columns(contract).items()) == [tuple(row) for row in answer]
        assert contract.arrow_schema.names == [name for name, _ in answer]
        existing = dict(answer)
        assert add_column_statements(contract, existing) == []


def test_a_decoded_batch_goes_through_clickhouse_unchanged(tmp_path: Path) -> None:
    """One part, one token, every value as decoded; the rollup holds for any year."""
    contract = load_contract("history")
    moments = ["1950-01-01T00:01:30Z", "1950-01-01T00:01:59.5Z", "2200-06-01T12:00:59.999999Z"]
    payloads = [
        json.dumps(
            {
                "device_id": "d'1\\",
                "metric": "level",
                "ts": moment,
                "value": index + 0.1,
                "attributes": {"b": "2", "a": "\u0000é"},
            }
        ).encode()
        for index, moment in enumerate(moments)
    ]
    stored = [OLD_US + 10**12, OLD_US + 10**12, FAR_US]
    decoded = Decoder(contract, "HISTORY").decode(messages(payloads, stored), "e1")
    assert decoded.refused == []
    table = pa.Table.from_batches([decoded.batch])
    # DateTime's day ends in 2149; the partition column is JetStream's time, which is today.
    today = pa.array([1_790_000_000_000_000] * 3).cast(pa.timestamp("us", "UTC"))
    table = table.set_column(table.num_columns - 1, table.schema.field("_stored_at"), today)
    path = tmp_path / "batch.arrow"
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    name = "`iot`.`history`"
    insert = (
        f"INSERT INTO {name} SETTINGS insert_deduplication_token = 't', async_insert = 0 "
        f"SELECT * FROM file('{path}', Arrow)"
    )
    rollup = "SELECT toUnixTimestamp64Micro(minute), count, min, max FROM `iot`.`history_1m`"

    values, parts, minutes, distinct, uses = ask_engine(
        [
            *run([*create_statements(contract), insert, insert]),
            {
                "ask": "SELECT device_id, toString(toUnixTimestamp64Micro(ts)), value, "
                f"attributes['a'], toString(_seq) FROM {name} ORDER BY _seq"
            },
            {"ask": "SELECT count() FROM system.parts WHERE active AND table = 'history'"},
            {"ask": f"{rollup} ORDER BY minute"},
            {"ask": "SELECT count() FROM `iot`.`history_distinct`"},
            {"ask": f"EXPLAIN indexes = 1 {rollup}"},
        ]
    )

    assert values == [
        ["d'1\\", str(OLD_US), 0.1, "\u0000é", "1"],
        ["d'1\\", str(OLD_US + 29_500_000), 1.1, "\u0000é", "2"],
        ["d'1\\", str(FAR_US), 2.1, "\u0000é", "3"],
    ]
    assert parts == [[1]]
    assert [[int(minute), int(count), low, high] for minute, count, low, high in minutes] == [
        [OLD_US - 30_000_000, 2, 0.1, 1.1],
        [FAR_US - 59_999_999, 1, 2.1, 2.1],
    ]
    assert distinct == [[3]]
    assert "per_minute" in json.dumps(uses)


def test_clickhouse_follows_an_evolved_contract() -> None:
    """Added and widened columns arrive by ALTER; rows stored before have null."""
    old = load_contract("weather")
    columns = tuple(
        replace(one, type=ColumnType.INT64) if one.name == "wind_direction" else one
        for one in old.columns
    )
    added = Column(name="uv", type=ColumnType.LOW_CARDINALITY_STRING, path=("uv",))
    new = replace(old, columns=(*columns[:5], added, *columns[5:]))
    statements = add_column_statements(new, table_columns(old))
    row = (
        "INSERT INTO `iot`.`weather` (station, country, network, observed_at, temperature, rain,"
        " firmware, wind_direction, _seq, _idx, _lane, _epoch, _stored_at)"
        " VALUES ('s', 'c', 'n', 0, 1.5, 0, '', 7, 1, 0, 'WEATHER', 'e', 0)"
    )

    answer, values, distinct = ask_engine(
        [
            *run([*create_statements(old), row, *statements]),
            columns_of(new),
            {"ask": "SELECT uv, wind_direction FROM `iot`.`weather`"},
            {"ask": "SELECT uv FROM `iot`.`weather_distinct`"},
        ]
    )

    assert list(table_columns(new).items()) == [tuple(row) for row in answer]
    assert [(uv, int(direction)) for uv, direction in values] == [(None, 7)]
    assert distinct == [[None]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"extra_column": "String"}, "has a column extra_column that contract readings does not"),
        ({"value": "Int64"}, "has column value as Int64, contract readings needs Float64"),
        ({"_seq": None}, "has no column _seq and it cannot be added"),
        ({"device_id": None}, "has no column device_id and it cannot be added"),
    ],
)
def test_a_table_that_cannot_be_brought_along_is_refused(
    change: dict[str, str | None], says: str
) -> None:
    """Foreign, narrower-in-the-contract and indispensable columns are named."""
    contract = load_contract("readings")
    found: dict[str, str | None] = {**table_columns(contract), **change}
    existing = {name: kind for name, kind in found.items() if kind is not None}

    with pytest.raises(SchemaMismatchError, match=says):
        add_column_statements(contract, existing)


def test_a_cluster_gets_replicated_tables_and_one_that_reads_all() -> None:
    """With a cluster's name every statement names it, and views read all shards."""
    statements = create_statements(load_contract("readings"), cluster="main")

    assert all("ON CLUSTER `main`" in statement for statement in statements)
    assert "ReplicatedMergeTree(" in statements[1]
    assert "replicated_deduplication_window = 100000" in statements[1]
    assert "Distributed('main', 'iot', 'readings')" in statements[2]
    assert all("FROM `iot`.`readings_all`" in statement for statement in statements[3:])
