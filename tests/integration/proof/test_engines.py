"""Python, ClickHouse and Iceberg's files give every row the same canonical bytes."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.contract import load_contract
from ingest.fingerprint import row_hashes
from ingest.proof.arrow_side import ArrowSide
from ingest.proof.canonical_sql import row_hash
from ingest.proof.facts import gathered
from ingest.proof.iceberg_side import iceberg_side
from ingest.proof.side import Segment
from ingest.ranges import SequenceRange
from ingest.sinks.clickhouse_schema import table_columns
from ingest.timestamps import EARLIEST_DAY, EARLIEST_US, LATEST_DAY, LATEST_US
from tests.integration.proof.scenario import MESSAGES, payloads, proof, provision, store
from tests.support.lane import TestLane

CONTRACT = Path(__file__).with_name("types.toml")

Texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=12)
Doubles = st.floats(allow_nan=False, allow_infinity=False)
Row = st.fixed_dictionaries(
    {
        "text": Texts,
        "kind": st.none() | Texts,
        "flag": st.none() | st.booleans(),
        "small": st.none() | st.integers(-(2**31), 2**31 - 1),
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "narrow": st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32),
        "wide": Doubles,
        "at": st.integers(EARLIEST_US, LATEST_US),
        "day": st.none() | st.integers(EARLIEST_DAY, LATEST_DAY),
        "raw": st.none() | Texts,
        "labels": st.dictionaries(Texts, Texts, max_size=3),
        "rest": st.none() | Texts,
    }
)
ODD = {
    "text": "",
    "kind": None,
    "flag": None,
    "small": -1,
    "whole": -(2**63),
    "narrow": -0.0,
    "wide": -0.0,
    "at": -1,
    "day": -1,
    "raw": None,
    "labels": {"": "", "é": "😀", "a": "b"},
    "rest": None,
}


def batch_of(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """The rows with metadata, by the contract's schema."""
    schema = load_contract(CONTRACT).arrow_schema
    whole = [
        row | {"_seq": n, "_idx": n % 2, "_lane": "L", "_epoch": "e", "_stored_at": 10**15 + n}
        for n, row in enumerate(rows, 1)
    ]
    arrays = []
    for field in schema:
        values = [row[field.name] for row in whole]
        if pa.types.is_map(field.type):
            arrays.append(pa.array([list(one.items()) for one in values], field.type))
        elif pa.types.is_timestamp(field.type):
            arrays.append(pa.array(values, pa.int64()).cast(field.type))
        elif pa.types.is_date32(field.type):
            arrays.append(pa.array(values, pa.int32()).cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


@pytest.fixture(scope="module")
def engine(stack: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client, and a table of every type to write into."""
    with TestLane(stack, tmp_path_factory.mktemp("engine"), secrets.token_hex(4)) as lane:
        client = lane.clickhouse()
        columns = ", ".join(
            f"`{name}` {kind}" for name, kind in table_columns(load_contract(CONTRACT)).items()
        )
        client.command(f"CREATE DATABASE iot_{lane.tag}")
        client.command(f"CREATE TABLE iot_{lane.tag}.types ({columns}) ENGINE = Memory")
        client.database = f"iot_{lane.tag}"
        yield client
        client.command(f"DROP DATABASE iot_{lane.tag}")
        client.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(Row, min_size=1, max_size=30))
def test_any_row_has_the_same_hash_in_python_and_clickhouse(
    engine: Client, rows: list[dict[str, Any]]
) -> None:
    """Nulls, empty texts, emoji, -0.0, denormals and times before 1970 included."""
    batch = batch_of([ODD, {**ODD, "wide": 5e-324, "narrow": 1e-45}, *rows])
    contract = load_contract(CONTRACT)
    engine.command(f"TRUNCATE TABLE {engine.database}.types")
    engine.insert_arrow("types", pa.Table.from_batches([batch]), database=engine.database)

    found = engine.query(f"SELECT {row_hash(contract)} FROM {engine.database}.types ORDER BY _seq")

    names = [column.name for column in contract.columns]
    assert [row[0] for row in found.result_rows] == row_hashes(batch, names).tolist()


def message(number: int, **changes: Any) -> bytes:
    """A message with every field, some of them odd."""
    value: dict[str, Any] = {
        "text": f"ü{number}😀",
        "kind": "",
        "flag": number % 2 == 0,
        "small": -number,
        "whole": 2**62 + number,
        "narrow": 0.1 * number,
        "wide": -0.0 if number % 2 else 5e-324,
        "at": -number * 1_000_001,
        "day": "1899-12-31" if number == -1 else "1950-02-03",
        "raw": {"b": [1, 2.50], "a": None},
        "labels": {"z": "", "": "é", "a": "x" * number},
        "unknown": number,
        **changes,
    }
    return json.dumps({name: one for name, one in value.items() if one != "leave out"}).encode()


@pytest.fixture
def typed(stack: object, tmp_path: Path) -> Iterator[TestLane]:
    """A lane of the contract with every type, stored by both paths."""
    optional = ("kind", "flag", "small", "whole", "narrow", "day", "raw", "labels", "unknown")
    with TestLane(stack, tmp_path, secrets.token_hex(4), source=CONTRACT) as lane:
        provision(lane)
        sent = [message(number) for number in range(1, 21)]
        sent += [message(21, **{name: "leave out"}) for name in optional]
        lane.publish(sent)
        store(lane, len(sent))
        yield lane


def test_every_type_is_proven_in_both_sinks(typed: TestLane) -> None:
    """Stream, ClickHouse and Iceberg agree on every type, present and missing."""
    report = proof(typed)

    assert report["findings"] == []
    assert report["rows"] == 29
    assert report["readers"]["iceberg"] == "clickhouse icebergS3"


def test_pyarrow_reads_the_files_as_clickhouse_does(typed: TestLane) -> None:
    """Where ClickHouse cannot read the object store, PyArrow computes the same sums."""

    async def both() -> None:
        async with gathered(typed.settings, full=True) as facts:
            epoch = facts.registry.epoch.id
            segment = Segment(epoch, 1, SequenceRange(3, 25))
            other = ArrowSide("iceberg", facts.table, facts.lane, facts.columns, why="test")

            assert other.sums(segment) == facts.lake.sums(segment) != {}
            assert other.hashes(segment) == facts.lake.hashes(segment) == facts.hot.hashes(segment)
            assert other.texts(segment, 5, 0) == facts.lake.texts(segment, 5, 0)
            everything = SequenceRange(1, 100)
            for column in (("text", "at", "labels"), ("text", "flag", "raw")):
                mine = other.groups("text", column, everything)
                assert mine == facts.lake.groups("text", column, everything)
            assert other.strays(("x",)) == facts.lake.strays(("x",)) == {epoch: 29}

    asyncio.run(both())


def test_pyarrow_takes_over_where_clickhouse_cannot_read(typed: TestLane) -> None:
    """The files are read here when ClickHouse does not do it, and the report can say so."""

    async def both() -> None:
        async with gathered(typed.settings, full=True) as facts:
            typed.overrides["IOT_CLICKHOUSE__URL"] = "http://u:p@127.0.0.1:9/iot"
            other = iceberg_side(typed.settings, facts.table, facts.lane, facts.columns, full=True)
            segment = Segment(facts.registry.epoch.id, 1, SequenceRange(1, 29))

            assert other.how.startswith("pyarrow (ClickHouse")
            assert other.sums(segment) == facts.hot.sums(segment) != {}

    asyncio.run(both())


def test_clickhouse_reads_only_the_parts_that_hold_a_range(stored: TestLane) -> None:
    """What was stored before a range is passed over, though it lies in the same day."""
    admin = clickhouse_connect.get_client(dsn=stored.stack.clickhouse_url("admin"))
    with closing(admin):
        admin.command(f"SYSTEM STOP MERGES {stored.table}")
        stored.publish(payloads())
        store(stored, 2 * MESSAGES, "hot")

        async def read() -> tuple[int, int]:
            async with gathered(stored.settings, full=True) as facts:
                epoch = facts.registry.record.epochs[-1].id
                new = SequenceRange(MESSAGES + 1, 2 * MESSAGES)
                sums = await asyncio.to_thread(facts.hot.sums, Segment(epoch, 1, new))
                return sum(one.rows for one in sums.values()), facts.hot.scanned.rows

        found, scanned = asyncio.run(read())
        admin.command(f"SYSTEM START MERGES {stored.table}")

    assert found == scanned
