"""After compaction: Trino finds in the new files what was proven, and sees when it is not there."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from pipelines.defs.quality.assets import proof
from pipelines.defs.quality.checks import rewritten_holds
from pipelines.defs.quality.verdicts import REWRITTEN
from pipelines.lake_recheck import Rechecked, recheck
from pipelines.reconcile import Extent
from pipelines.trino_client import Trino
from tests.integration.proof.scenario import MESSAGES, payloads, store
from tests.integration.proof.scenario import proof as prove
from tests.lake.quality.support import Open
from tests.lake.quality.test_proof_asset import resources
from tests.support.lakehouse import scope_of
from tests.support.lane import TestLane

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def proven(stored: TestLane) -> TestLane:
    """A lane with two commits, each proven by an entry of its own."""
    prove(stored)
    stored.publish(payloads())
    store(stored, 2 * MESSAGES)
    prove(stored)
    return stored


def run(lane: TestLane, trino: Trino, guard: Any = None, since_ms: int = 0) -> Rechecked:
    """A recheck in units of 300 sequences."""
    extent = Extent(unit_sequences=300)
    return recheck(lane.settings, trino, guard or Open(), extent, since_ms=since_ms)


def optimize(lane: TestLane, trino: Trino) -> None:
    """Merges all files of the table."""
    trino.execute(f"ALTER TABLE {lane.table} EXECUTE optimize")


def test_what_compaction_wrote_holds(proven: TestLane, trino: Trino) -> None:
    """Nothing is read without a rewrite; after one the proven ranges in its files are, once."""
    assert run(proven, trino).first is None
    optimize(proven, trino)

    done = run(proven, trino)

    assert done.findings == []
    assert (done.first, done.sequences, done.rows) == (1, 2 * MESSAGES, 2 * 299)
    assert run(proven, trino, since_ms=done.upto_ms).first is None


def test_a_row_that_a_rewrite_lost_is_seen(proven: TestLane, trino: Trino) -> None:
    """The range is named, with what was found and what was proven."""
    optimize(proven, trino)
    proven.lake_table().delete("_seq = 320")

    done = run(proven, trino)

    (finding,) = done.findings
    assert str(finding.ranges[0]) == "301-600"
    assert finding.detail.startswith("298 rows, fingerprint ")
    assert "proven were 299, " in finding.detail


def test_the_check_remembers_what_it_saw(proven: TestLane, trino: Trino) -> None:
    """As Dagster runs it: green after compaction, and the next run has nothing to read."""
    check = rewritten_holds(scope_of(proven))
    optimize(proven, trino)

    with dg.DagsterInstance.ephemeral() as instance:

        def verdict() -> Any:
            result = dg.materialize(
                [proof(scope_of(proven)), check],
                selection=dg.AssetSelection.checks(check),
                resources=resources(proven),
                instance=instance,
            )
            (found,) = result.get_asset_check_evaluations()
            return found

        first, second = verdict(), verdict()
        proven.lake_table().delete("_seq = 320")
        optimize(proven, trino)
        third = verdict()

    assert first.check_name == REWRITTEN
    assert first.passed
    assert first.metadata["rows"].value == 2 * 299
    assert second.passed
    assert second.description == "no file was rewritten since the last look"
    assert not third.passed
    assert "iceberg: differs 600 sequences: 1-600 (597 rows, " in third.description
