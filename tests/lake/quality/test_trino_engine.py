"""Python, ClickHouse and Trino give every row the same canonical bytes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.supervisor import Devstack
from ingest.catalog import connect
from ingest.contract import load_contract
from ingest.fingerprint import MASK, row_hashes
from ingest.proof.canonical_sql import row_hash as clickhouse_row_hash
from ingest.proof.facts import gathered
from ingest.proof.side import Segment
from ingest.ranges import SequenceRange
from ingest.sinks.iceberg_schema import iceberg_schema
from pipelines.cancel import Cancel
from pipelines.trino_fingerprint import row_hash
from pipelines.trino_side import TrinoSides
from tests.integration.proof.scenario import provision, store
from tests.integration.proof.test_engines import CONTRACT, ODD, Row, batch_of, message
from tests.lake.quality.support import trino_of
from tests.support.lane import TestLane

pytestmark = pytest.mark.timeout(300)

EXTREMES = [
    ODD,
    {**ODD, "wide": 5e-324, "narrow": 1e-45, "at": -1, "day": -719162},
    {**ODD, "wide": -0.0, "narrow": -0.0, "at": 253402300799999999, "day": 2932896},
    {**ODD, "wide": 1.7976931348623157e308, "narrow": 3.4028234663852886e38, "at": -1_000_001},
    {**ODD, "at": -62135596800000000, "labels": {"\uffff": "1", "😀": "2", "é": "", "": "4"}},
]
OPTIONAL = ("kind", "flag", "small", "whole", "narrow", "day", "raw", "labels", "unknown")


@pytest.fixture(scope="module")
def types(trino_stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestLane]:
    """A lane of the contract with every type, provisioned, whose tables are written to here."""
    folder = tmp_path_factory.mktemp("types")
    with TestLane(trino_stack, folder, secrets.token_hex(4), source=CONTRACT) as lane:
        provision(lane)
        yield lane


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rows=st.lists(Row, min_size=1, max_size=60))
def test_any_row_has_the_same_hash_in_all_three(
    types: TestLane, rows: list[dict[str, Any]]
) -> None:
    """Nulls, empty texts, emoji, -0.0, denormals, the ends of time and maps included."""
    batch = batch_of([*EXTREMES, *rows])
    whole = pa.Table.from_batches([batch])
    contract = load_contract(CONTRACT)
    name = f"{types.contract.namespace}.t{secrets.token_hex(4)}"
    # Without partitions: each row has a year of its own.
    connect(types.settings).create_table(name, iceberg_schema(contract)).append(whole)
    clickhouse = types.clickhouse()
    clickhouse.command(f"TRUNCATE TABLE {types.table}")
    clickhouse.insert_arrow(contract.table, whole, database=types.contract.namespace)

    in_trino = trino_of(types).query(f"SELECT {row_hash(contract)} FROM {name} ORDER BY _seq")
    in_clickhouse = clickhouse.query(
        f"SELECT {clickhouse_row_hash(contract)} FROM {types.table} ORDER BY _seq"
    )
    clickhouse.close()

    expected = row_hashes(batch, [column.name for column in contract.columns]).tolist()
    assert [bits & MASK for (bits,) in in_trino] == expected
    assert [one for (one,) in in_clickhouse.result_rows] == expected


@pytest.fixture
def typed(trino_stack: Devstack, tmp_path: Path) -> Iterator[TestLane]:
    """A lane of the contract with every type, stored by both paths."""
    with TestLane(trino_stack, tmp_path, secrets.token_hex(4), source=CONTRACT) as lane:
        provision(lane)
        sent = [message(number) for number in range(1, 21)]
        sent += [message(21, **{name: "leave out"}) for name in OPTIONAL]
        lane.publish(sent)
        store(lane, len(sent))
        yield lane


def test_trino_adds_up_what_clickhouse_adds_up(typed: TestLane) -> None:
    """Every answer of the side is that of the ClickHouse table."""
    sides = TrinoSides(trino_of(typed), Cancel())

    async def both() -> None:
        async with gathered(typed.settings, full=False, open_lake=sides) as facts:
            epoch = facts.registry.epoch.id
            segment = Segment(epoch, 1, SequenceRange(3, 25))
            lake, hot = facts.lake, facts.hot

            assert lake.how == "trino"
            assert lake.sums(segment) == hot.sums(segment) != {}
            assert lake.hashes(segment) == hot.hashes(segment)
            assert lake.texts(segment, 5, 0) == hot.texts(segment, 5, 0) != []
            everything = SequenceRange(1, 100)
            for column in (("text", "at", "labels"), ("text", "flag", "raw")):
                assert lake.groups("text", column, everything) == hot.groups(
                    "text", column, everything
                )
            assert lake.strays(("x",)) == {epoch: 29}
            assert lake.scanned.rows > 0

    asyncio.run(both())


def test_a_doubled_row_counts_once_as_distinct(typed: TestLane) -> None:
    """Rows, distinct rows and messages differ as they do in ClickHouse, indexes above 64 too."""
    table = typed.lake_table()
    rows = table.scan(row_filter="_seq = 10").to_arrow()
    place = rows.schema.get_field_index("_idx")
    many = pa.concat_tables(
        rows.set_column(place, rows.schema.field(place), pa.array([index], pa.int32()))
        for index in (0, 63, 64, 65, 128)
    )
    table.append(many)
    sides = TrinoSides(trino_of(typed), Cancel())

    async def look() -> None:
        async with gathered(typed.settings, full=False, open_lake=sides) as facts:
            segment = Segment(facts.registry.epoch.id, 1, SequenceRange(10, 10))
            (found,) = facts.lake.sums(segment).values()
            assert (found.rows, found.pairs, found.messages) == (6, 5, 1)
            assert (found.first, found.last) == (10, 10)

    asyncio.run(look())


def test_a_column_that_the_snapshot_does_not_have_holds_no_value(typed: TestLane) -> None:
    """Between `ingest schema apply` and the next commit, old rows keep their fingerprint."""
    contract = typed.contract_file
    before = _sums(typed)
    text = contract.read_text(encoding="utf-8")
    contract.write_text(f'{text}\n[[columns]]\nname = "more"\ntype = "int64"\n', encoding="utf-8")
    typed.ingest("schema", "apply")

    assert _sums(typed) == before != {}


def _sums(lane: TestLane) -> dict[int, Any]:
    sides = TrinoSides(trino_of(lane), Cancel())

    async def look() -> dict[int, Any]:
        async with gathered(lane.settings, full=False, open_lake=sides) as facts:
            segment = Segment(facts.registry.epoch.id, 1, SequenceRange(1, 100))
            sums = facts.lake.sums(segment)
            assert sums == facts.hot.sums(segment)
            return sums

    return asyncio.run(look())
