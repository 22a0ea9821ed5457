"""`ingest schema` against both live tables, also while both writers run."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from ingest import schema_apply
from ingest.errors import ContractError, SchemaMismatchError
from ingest.provision import init
from ingest.registry import Registry, RegistryStore
from tests.support.lane import TestLane, reading

COUNTER = '\n[[columns]]\nname = "counter"\ntype = "int32"\n'
NOTE = '\n[[columns]]\nname = "note"\ntype = "string"\n'
BEYOND_INT32 = 1 << 40


@pytest.fixture
def made(lane: TestLane) -> TestLane:
    """A lane after init whose contract has an optional int32 column."""
    _append(lane.contract_file, COUNTER)
    asyncio.run(init(lane.settings))
    return lane


def _append(contract_file: Path, text: str) -> None:
    contract_file.write_text(contract_file.read_text(encoding="utf-8") + text, encoding="utf-8")


def _mend(lane: TestLane) -> None:
    """Widens the counter and adds the note."""
    text = lane.contract_file.read_text(encoding="utf-8")
    wider = text.replace(COUNTER, COUNTER.replace("int32", "int64") + NOTE)
    lane.contract_file.write_text(wider, encoding="utf-8")


def _plan(lane: TestLane) -> schema_apply.Plan:
    return asyncio.run(schema_apply.plan(lane.settings))


def _apply(lane: TestLane) -> Registry:
    return asyncio.run(schema_apply.apply(lane.settings))[1]


def test_show_asks_no_server(lane: TestLane) -> None:
    """Show prints columns, DDL and Iceberg schema from the file alone."""
    away = {"IOT_NATS__URL": "nats://127.0.0.1:1", "IOT_CATALOG__URI": "http://127.0.0.1:1"}

    shown = json.loads(lane.ingest("schema", "show", "--output", "json", **away).stdout)

    assert [c["name"] for c in shown["contract"]["columns"]][:2] == ["device_id", "site"]
    assert any("ENGINE = MergeTree" in statement for statement in shown["clickhouse"])
    assert shown["iceberg"]["fields"][0]["name"] == "device_id"


def test_after_init_nothing_differs(made: TestLane) -> None:
    """Diff finds file, registry and tables equal."""
    plan = _plan(made)

    assert plan.is_empty
    assert (plan.version, plan.since) == (1, 1)


def test_diff_tells_each_change_in_each_place(made: TestLane) -> None:
    """An added and a widened column show in the contract, in ClickHouse and in Iceberg."""
    _mend(made)

    told = made.ingest("schema", "diff").stdout

    assert "contract    widen_column counter: int32 -> int64" in told
    assert "contract    add_column note" in told
    assert "MODIFY COLUMN `counter` Nullable(Int64)" in told
    assert "ADD COLUMN IF NOT EXISTS `note` Nullable(String)" in told
    assert "Iceberg     column counter is int, the contract says long" in told
    assert "Iceberg     column note is missing" in told


def test_apply_changes_both_tables_and_then_the_registry(made: TestLane) -> None:
    """After apply nothing differs, and version 2 is in force after what the stream held."""
    made.publish(made.readings(5))
    _mend(made)

    done = json.loads(made.ingest("schema", "apply", "--output", "json").stdout)

    assert done["in_force"] == {"version": 2, "since": 6}
    assert _plan(made).is_empty
    assert [f.name for f in made.lake_table().schema().fields][-7:-5] == ["counter", "note"]
    assert _apply(made).record.versions[-1].number == 2


def test_an_apply_that_was_cut_off_after_the_sinks_is_finished_by_the_next(made: TestLane) -> None:
    """With both tables changed and the registry not, apply only puts the version in force."""
    _mend(made)
    schema_apply._apply_clickhouse(made.settings, made.contract)
    schema_apply._apply_iceberg(made.settings, made.contract)

    plan = _plan(made)
    registry = _apply(made)

    assert (plan.clickhouse, plan.iceberg) == ((), ())
    assert len(plan.contract_changes) == 2
    assert registry.record.versions[-1].number == 2


def test_a_refused_change_is_one_sentence_and_changes_nothing(made: TestLane) -> None:
    """Dropping a column is exit 2 with the reason; tables and registry stay."""
    text = made.contract_file.read_text(encoding="utf-8")
    made.contract_file.write_text(text.replace(COUNTER, ""), encoding="utf-8")

    done = made.ingest("schema", "apply", check=False)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "column counter: dropped, which is refused" in done.stderr
    made.contract_file.write_text(text, encoding="utf-8")
    assert _plan(made).is_empty
    made.contract_file.write_text(text.replace("int32", "string"), encoding="utf-8")
    with pytest.raises(ContractError, match="may only widen"):
        _plan(made)


def test_a_table_changed_by_other_hands_is_refused(made: TestLane) -> None:
    """A column that no contract names stops apply before anything is changed."""
    client = made.clickhouse()
    client.command(f"ALTER TABLE {made.table} ADD COLUMN foreign_one String")
    client.close()
    _mend(made)

    with pytest.raises(SchemaMismatchError, match="foreign_one"):
        _apply(made)

    assert "note" not in [f.name for f in made.lake_table().schema().fields]


def test_before_init_there_is_nothing_to_compare(lane: TestLane) -> None:
    """Without a registry diff says what to run first."""
    asyncio.run(init(lane.settings))
    lane.overrides["IOT_CONTRACT"] = str(_renamed(lane))

    with pytest.raises(SchemaMismatchError, match="ingest init"):
        _plan(lane)


def _renamed(lane: TestLane) -> Path:
    other = lane.folder / "other.toml"
    text = lane.contract_file.read_text(encoding="utf-8")
    other.write_text(text.replace(lane.stream, f"{lane.stream}_other"), encoding="utf-8")
    return other


def test_applied_while_messages_flow_both_sinks_decode_each_message_alike(made: TestLane) -> None:
    """Messages before the version keep null, those from it on have the column, in both sinks."""
    writers = [made.start("hot"), made.start("lake")]
    stop = threading.Event()
    published: list[int] = []

    def flow() -> None:
        while not stop.is_set():
            start = len(published)
            batch = [reading(n, counter=n, note=f"note {n}") for n in range(start, start + 50)]
            made.publish(batch)
            published.extend(range(start, start + 50))

    flowing = threading.Thread(target=flow)
    flowing.start()
    try:
        made.wait_hot(100)
        made.wait_lake(100)
        _mend(made)
        since = _apply(made).record.versions[-1].first_seq
        made.wait_hot(since + 200)
        made.wait_lake(since + 200)
    finally:
        stop.set()
        flowing.join()
    made.publish([reading(0, counter=BEYOND_INT32, note="large")])
    last = made.state().last_seq
    made.wait_hot(last)
    made.wait_lake(last)

    hot, lake = _hot_rows(made), _lake_rows(made)

    assert hot == lake
    assert [row[0] for row in hot] == list(range(1, last + 1))
    assert 1 < since < last
    assert all(note is None for sequence, _, note in hot if sequence < since)
    assert all(note is not None for sequence, _, note in hot if sequence >= since)
    assert all(counter is not None for _, counter, _ in hot)
    assert hot[-1][1:] == (BEYOND_INT32, "large")
    assert [writer.drain() for writer in writers] == [0, 0]


def test_applied_while_nothing_flows_the_next_message_has_the_column_in_both_sinks(
    made: TestLane,
) -> None:
    """The lake's first commit of a version does not rely on the table as it was before."""
    writers = [made.start("hot"), made.start("lake")]
    made.publish([reading(0, counter=0)])
    made.wait_hot(1)
    made.wait_lake(1)
    _mend(made)
    _apply(made)

    made.publish([reading(1, counter=1, note="first")])
    made.wait_hot(2)
    made.wait_lake(2)

    assert _hot_rows(made) == _lake_rows(made) == [(1, 0, None), (2, 1, "first")]
    assert [writer.drain() for writer in writers] == [0, 0]


Row = tuple[int, int | None, str | None]


def _hot_rows(lane: TestLane) -> list[Row]:
    client = lane.clickhouse()
    try:
        query = f"SELECT _seq, counter, note FROM {lane.table} ORDER BY _seq"
        return [(int(seq), counter, note) for seq, counter, note in client.query(query).result_rows]
    finally:
        client.close()


def _lake_rows(lane: TestLane) -> list[Row]:
    scan = lane.lake_table().scan(selected_fields=("_seq", "counter", "note")).to_arrow()
    columns = [scan.column(name).to_pylist() for name in ("_seq", "counter", "note")]
    return sorted(zip(*columns, strict=True), key=lambda row: row[0])


def test_the_registry_names_the_version_that_was_applied(made: TestLane) -> None:
    """The contract kept with the version is the file as it was applied."""
    _mend(made)
    _apply(made)

    async def kept(link: object) -> str:
        from ingest.kept import open_bucket

        store = RegistryStore(link, await open_bucket(link), made.stream)  # type: ignore[arg-type]
        registry = await store.peek()
        assert registry is not None
        return registry.record.versions[-1].contract

    assert made.run_async(kept) == made.contract.to_json()
