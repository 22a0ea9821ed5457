"""The reconciliation through Trino: unit by unit, what is new, and what is wrong by name."""

from __future__ import annotations

from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from ingest.errors import Transient
from ingest.ledger import Ledger, LedgerEntry
from ingest.nats_link import NatsLink
from ingest.proof.findings import Finding
from pipelines.cancel import Cancel
from pipelines.errors import BudgetBroken, TrinoUnavailable, WorkCancelled
from pipelines.reconcile import Extent, Reconciled, reconcile
from pipelines.reconcile_findings import explained
from pipelines.trino_client import Trino
from tests.integration.proof.scenario import MESSAGES, payloads, store
from tests.lake.quality.support import Open, pipeline_settings
from tests.support.lane import TestLane

pytestmark = pytest.mark.timeout(300)

SYNC = {"mutations_sync": 2}
ROWS = MESSAGES - 3 + 2


def run(lane: TestLane, trino: Trino, guard: Any = None, **extent: Any) -> Reconciled:
    """One reconciliation in units of 100 sequences."""
    return reconcile(lane.settings, trino, guard or Open(), Extent(unit_sequences=100, **extent))


def ledger(lane: TestLane) -> list[tuple[int, int]]:
    """First and last sequence of every entry."""

    async def read(link: NatsLink) -> list[LedgerEntry]:
        return await Ledger(link, lane.stream).entries()

    return [(one.first, one.last) for one in lane.run_async(read)]


def told(findings: list[Finding]) -> set[tuple[str, str, str]]:
    """Side, problem and sequences of each finding."""
    return {(one.side, str(one.problem), str(one.ranges[0])) for one in findings}


def test_a_lane_in_order_is_proven_unit_by_unit(stored: TestLane, trino: Trino) -> None:
    """Units end before multiples of their size; each goes to the ledger; Trino read the lake."""
    done = run(stored, trino)

    assert done.report.findings == []
    assert done.report.reference.rows == ROWS
    assert (done.units, done.sequences, done.left) == (4, MESSAGES, 0)
    assert done.report.readers["iceberg"] == "trino"
    assert ledger(stored) == [(1, 99), (100, 199), (200, 299), (300, 300)]
    assert all(claim.holds for claim in done.report.claims())


def test_a_later_run_reads_only_new_files(stored: TestLane, trino: Trino) -> None:
    """Trino itself reports that it read the new rows and none of the proven ones."""
    whole = Extent(unit_sequences=10_000)
    first = reconcile(stored.settings, trino, Open(), whole)
    assert reconcile(stored.settings, trino, Open(), whole).units == 0
    stored.publish(payloads())
    store(stored, 2 * MESSAGES)

    second = reconcile(stored.settings, trino, Open(), whole)

    assert (second.sequences, second.report.findings) == (MESSAGES, [])
    assert second.report.reference.rows == ROWS
    assert first.report.scanned["iceberg"].rows == ROWS
    assert second.report.scanned["iceberg"].rows == ROWS
    assert second.report.scanned["iceberg"].bytes > 0
    assert second.report.scanned["clickhouse"].rows > 0


def test_damage_is_named_and_mended(stored: TestLane, trino: Trino, clickhouse: Client) -> None:
    """A red unit names side, sequence and time; the rest is compared; the ledger waits for it."""
    rows = f"SELECT * FROM {stored.table} WHERE _seq IN (120, 230)"
    clickhouse.command(f"CREATE TABLE {stored.table}_kept ENGINE = Memory AS {rows}")
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 120", settings=SYNC)
    clickhouse.command(f"INSERT INTO {stored.table} SELECT * FROM {stored.table} WHERE _seq = 230")

    done = run(stored, trino)

    assert told(done.report.findings) == {
        ("clickhouse", "missing", "120"),
        ("clickhouse", "doubled", "230"),
    }
    assert done.sequences == MESSAGES
    assert ledger(stored) == [(1, 99)]
    missing, doubled = explained(stored.settings, trino, done.report.findings)
    assert missing.since is not None
    assert missing.places == ()
    assert "clickhouse: missing sequence 120, stored 20" in missing.sentence()
    assert len(doubled.places) == 2

    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 230", settings=SYNC)
    clickhouse.command(f"INSERT INTO {stored.table} SELECT * FROM {stored.table}_kept")
    again = run(stored, trino)
    assert again.report.findings == []
    assert again.outlook.first == 100
    assert ledger(stored)[-1] == (300, 300)


def test_damage_in_the_lake_is_named_with_its_file(stored: TestLane, trino: Trino) -> None:
    """Trino sees a row that is missing and one that is there twice, and tells the files."""
    table = stored.lake_table()
    table.append(table.scan(row_filter="_seq = 30").to_arrow())
    table.delete("_seq = 20")

    done = run(stored, trino)

    assert told(done.report.findings) == {
        ("iceberg", "missing", "20"),
        ("iceberg", "doubled", "30"),
    }
    doubled = explained(stored.settings, trino, done.report.findings)[1]
    assert all(place.endswith(".parquet") for place in doubled.places)
    assert len(doubled.places) == 2


def test_a_run_that_is_stopped_is_resumed(stored: TestLane, trino: Trino) -> None:
    """The budget ends a run between units; the next one begins where it ended."""

    def stop_at_third(units: int) -> None:
        if units == 2:
            raise BudgetBroken("reconciliation", "hot lag 9 s of 5 s allowed", 1.0)

    stopped = run(stored, trino, Open(stop_at_third))
    assert (stopped.units, stopped.left) == (2, 101)
    assert "hot lag 9 s" in stopped.stopped
    assert ledger(stored) == [(1, 99), (100, 199)]

    resumed = run(stored, trino)
    assert (resumed.outlook.first, resumed.sequences) == (200, 101)
    assert ledger(stored)[-1] == (300, 300)


def test_a_run_without_room_says_so(stored: TestLane, trino: Trino) -> None:
    """When not a single unit came to its end there is no verdict, but the budget's numbers."""

    def stop(_: int) -> None:
        raise BudgetBroken("reconciliation", "hot lag 9 s of 5 s allowed", 1.0)

    with pytest.raises(BudgetBroken, match="hot lag 9 s"):
        run(stored, trino, Open(stop))
    assert ledger(stored) == []


def test_what_was_proven_is_compared_again(
    stored: TestLane, trino: Trino, clickhouse: Client
) -> None:
    """Damage to a proven range is no business of the incremental run, and found by `again`."""
    run(stored, trino)
    clickhouse.command(f"ALTER TABLE {stored.table} DELETE WHERE _seq = 120", settings=SYNC)

    assert run(stored, trino).report.findings == []
    done = run(stored, trino, again=True)

    assert told(done.report.findings) == {("clickhouse", "missing", "120")}
    assert done.sequences == MESSAGES
    assert len(ledger(stored)) == 4


def test_a_unit_that_is_asked_to_end_ends(stored: TestLane, trino: Trino) -> None:
    """A unit that was cancelled raises, and nothing of it is on record."""

    class Cancels(Open):
        def run(self, work: str, unit: Any, *, give_up_after_s: float | None = None) -> Any:
            cancel = Cancel()
            cancel.cancel("the budget broke")
            return unit(cancel)

    with pytest.raises(WorkCancelled, match="the budget broke"):
        run(stored, trino, Cancels())
    assert ledger(stored) == []


def test_without_trino_nothing_is_said(stored: TestLane) -> None:
    """Trino away is one transient error that names it, never a verdict."""
    settings = pipeline_settings(stored).trino
    away = settings.model_copy(
        update={"url": type(settings.url)("http://iot@127.0.0.1:9"), "connect_timeout_s": 1.0}
    )

    with pytest.raises(TrinoUnavailable, match=r"Trino at http://127\.0\.0\.1:9") as caught:
        run(stored, Trino(away, patient=False))
    assert isinstance(caught.value, Transient)
    assert ledger(stored) == []
