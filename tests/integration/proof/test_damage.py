"""A changed, missing or doubled row is named: its sequence, its sink, its column."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from ingest.dlq import dead_letter_subject
from ingest.nats_link import NatsLink
from ingest.sinks.clickhouse_schema import rollup_query
from tests.integration.proof.scenario import found, proof
from tests.support.lane import TestLane


def test_damage_in_clickhouse_is_named(stored: TestLane, clickhouse: Client) -> None:
    """A row changed, one dropped, one doubled and one moved in ClickHouse are four findings."""
    mutate = {"mutations_sync": 2}
    table = stored.table
    clickhouse.command(f"ALTER TABLE {table} UPDATE value = 9 WHERE _seq = 10", settings=mutate)
    clickhouse.command(f"ALTER TABLE {table} DELETE WHERE _seq = 20", settings=mutate)
    clickhouse.command(f"INSERT INTO {table} SELECT * FROM {table} WHERE _seq = 30")
    clickhouse.command(f"ALTER TABLE {table} DELETE WHERE _seq = 100 AND _idx = 1", settings=mutate)

    report = proof(stored)

    assert found(report) == {
        ("clickhouse", "changed", (10,)),
        ("clickhouse", "missing", (20, 100)),
        ("clickhouse", "doubled", (30,)),
    }
    changed = next(one for one in report["findings"] if one["problem"] == "changed")
    assert changed["detail"] == "column of sequence 10: value"
    assert report["verdict"].startswith("NOT PROVEN")


def test_a_moved_timestamp_is_a_change(stored: TestLane, clickhouse: Client) -> None:
    """A row whose _stored_at was set a month back is found although its partition is not read."""
    table = stored.table
    clickhouse.command(
        f"INSERT INTO {table} SELECT * REPLACE (_stored_at - INTERVAL 30 DAY AS _stored_at)"
        f" FROM {table} WHERE _seq = 10"
    )
    clickhouse.command(
        f"ALTER TABLE {table} DELETE WHERE _seq = 10 AND _stored_at > now() - INTERVAL 1 DAY",
        settings={"mutations_sync": 2},
    )

    report = proof(stored)

    assert found(report) == {("clickhouse", "changed", (10,))}
    assert report["findings"][0]["detail"] == "column of sequence 10: _stored_at"


def test_damage_in_iceberg_is_named(stored: TestLane) -> None:
    """A row changed, one dropped and one doubled in the data files are three findings."""
    table = stored.lake_table()
    rows = table.scan(row_filter="_seq = 10 or _seq = 30").to_arrow()
    units = pa.array(["?" if seq == 10 else "Cel" for seq in rows.column("_seq").to_pylist()])
    place = rows.schema.get_field_index("unit")
    table.delete("_seq = 10 or _seq = 20")
    table.append(rows.set_column(place, rows.schema.field(place), units))

    report = proof(stored)

    assert found(report) == {
        ("iceberg", "changed", (10,)),
        ("iceberg", "missing", (20,)),
        ("iceberg", "doubled", (30,)),
    }
    changed = next(one for one in report["findings"] if one["problem"] == "changed")
    assert changed["detail"] == "column of sequence 10: unit"


def test_a_row_that_the_stream_never_had_is_extra(stored: TestLane) -> None:
    """A row under the sequence of a refused message is found."""
    table = stored.lake_table()
    rows = table.scan(row_filter="_seq = 10").to_arrow()
    place = rows.schema.get_field_index("_seq")
    table.append(rows.set_column(place, rows.schema.field(place), pa.array([51], pa.int64())))

    assert found(proof(stored)) == {("iceberg", "extra", (51,))}


def test_rows_of_an_unknown_epoch_are_found_by_full(stored: TestLane, clickhouse: Client) -> None:
    """Only --full looks at epochs that the registry does not know."""
    table = stored.table
    clickhouse.command(
        f"INSERT INTO {table} SELECT * REPLACE ('other' AS _epoch) FROM {table} WHERE _seq = 10"
    )

    assert proof(stored, ledger=False)["proven"]
    report = proof(stored, full=True)
    assert [one["side"] for one in report["findings"]] == ["clickhouse"]
    assert "1 rows under epoch 'other'" in report["findings"][0]["text"]


def test_damage_in_the_rollup_is_named(stored: TestLane, clickhouse: Client) -> None:
    """A view that leaves a row out, doubles one or changes one is named by sequence."""
    contract, table = stored.contract, stored.table
    assert contract.rollup is not None
    columns = ", ".join(column.name for column in contract.columns)
    damaged = (
        f"(SELECT {columns}, if(_seq = 10, value + 1000, value) AS value_ FROM {table}"
        f" WHERE _seq != 20 UNION ALL SELECT {columns}, value FROM {table} WHERE _seq = 30)"
    )
    query = rollup_query(contract, contract.rollup, damaged).replace("(`value`)", "(`value_`)")
    clickhouse.command(f"CREATE OR REPLACE VIEW {table}_1m AS {query}")

    report = proof(stored)

    assert {one["side"] for one in report["findings"]} == {"rollup"}
    named = {problem: set(sequences) for _, problem, sequences in found(report)}
    assert 10 in named["changed"]
    assert named["missing"] == {20}
    assert named["doubled"] == {30}


def test_a_missing_rollup_view_is_a_finding(stored: TestLane, clickhouse: Client) -> None:
    """Without the view nothing is proven."""
    clickhouse.command(f"DROP VIEW {stored.table}_1m")

    report = proof(stored)

    assert [one["side"] for one in report["findings"]] == ["rollup"]


def test_damage_in_the_dead_letter_queue_is_named(stored: TestLane) -> None:
    """A dead letter that is missing, altered or extra is named."""

    async def damage(link: NatsLink) -> None:
        subjects = await link.api("STREAM.INFO.DLQ", {"subjects_filter": f"dlq.{stored.stream}.>"})
        by_sequence = {int(s.split(".")[2]): s for s in subjects["state"]["subjects"]}
        await link.api("STREAM.PURGE.DLQ", {"filter": by_sequence[50]})
        await link.api("STREAM.PURGE.DLQ", {"filter": by_sequence[51]})
        await link.js.publish(by_sequence[51], b"something else")
        await link.js.publish(dead_letter_subject(stored.stream, 60, 1_900_000_000 * 10**9), b"x")

    stored.run_async(damage)

    report = proof(stored)

    assert found(report) == {
        ("dlq", "missing", (50,)),
        ("dlq", "changed", (51,)),
        ("dlq", "extra", (60,)),
    }


def test_a_purged_dead_letter_stays_proven(stored: TestLane) -> None:
    """Tombstones keep the count: the proof holds after `ingest dlq purge`."""
    stored.ingest("dlq", "purge", "50", "--yes")

    assert proof(stored)["proven"]


def test_compaction_changes_nothing(stored: TestLane) -> None:
    """Another client's rewrite of the files leaves the proof as it was."""
    table = stored.lake_table()
    rows = table.scan().to_arrow()
    table.overwrite(rows.take(pc.sort_indices(rows, sort_keys=[("_seq", "descending")])))

    assert proof(stored)["proven"]
