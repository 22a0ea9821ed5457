"""The cheap check of every minute: the lane's Iceberg commits must follow each other.

Read from snapshot summaries alone, no data. It finds a commit that is missing, twice there or out
of order; only `ingest verify` looks at the rows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from ingest.marks import Mark, parse_mark
from ingest.ranges import SequenceRange

REPAIR_WRITER = "repair-"


@dataclass(frozen=True)
class ChainReport:
    """What the summaries say of a lane, in sentences; none when all is well.

    ``gaps`` are between commits, ``strayed`` says how the watermark differs from the newest one.
    ``commits`` counts the lane's snapshots that have not expired, ``covered`` is from the first of
    them to the last; commits of other clients (compaction) are passed over.
    """

    commits: int
    covered: SequenceRange | None
    gaps: tuple[str, ...]
    strayed: str = ""
    newest: int | None = None
    """Last sequence of the newest commit."""

    @property
    def breaks(self) -> tuple[str, ...]:
        """Everything that does not hold."""
        return (*self.gaps, *([self.strayed] if self.strayed else []))

    @property
    def holds(self) -> bool:
        """Whether every commit starts where the one before ended."""
        return not self.breaks


@dataclass(frozen=True)
class _Commit:
    snapshot_id: int
    epoch: str
    first: int
    last: int
    repair: bool


def summary_chain(table: Table, lane: str) -> ChainReport:
    """Whether ``ingest.first`` of each of the lane's commits is the last of the one before, plus 1.

    The newest commit must end at the watermark property.
    """
    commits = [one for one in map(_commit, _ancestors(table)) if one is not None and one[0] == lane]
    chain = [commit for _, commit in commits]
    gaps: list[str] = []
    strayed = ""
    for before, after in itertools.pairwise(chain):
        same = before.epoch == after.epoch
        # A repair fills gaps anywhere, and a new epoch begins where the histories parted.
        if same and not after.repair and after.first != before.last + 1:
            gaps.append(
                f"snapshot {after.snapshot_id} begins at {after.first}, but {before.snapshot_id}"
                f" before it ended at {before.last}"
            )
    watermark = _watermark(table, lane)
    if chain and watermark is not None:
        newest = chain[-1]
        if (newest.epoch, newest.last) != (watermark.epoch, watermark.sequence):
            strayed = (
                f"snapshot {newest.snapshot_id} ended at {newest.last} of epoch {newest.epoch}, but"
                f" the watermark is {watermark}"
            )
    covered = SequenceRange(chain[0].first, max(chain[-1].last, chain[0].first)) if chain else None
    return ChainReport(len(chain), covered, tuple(gaps), strayed, chain[-1].last if chain else None)


def _ancestors(table: Table) -> list[Snapshot]:
    """The current snapshot and those before it, oldest first, as far as they have not expired."""
    found: list[Snapshot] = []
    by_id = {one.snapshot_id: one for one in table.snapshots()}
    snapshot = table.current_snapshot()
    while snapshot is not None:
        found.append(snapshot)
        parent = snapshot.parent_snapshot_id
        snapshot = by_id.get(parent) if parent is not None else None
    return found[::-1]


def _commit(snapshot: Snapshot) -> tuple[str, _Commit] | None:
    summary = snapshot.summary
    if summary is None or summary.get("ingest.lane") is None:
        return None
    told = summary.additional_properties
    return told["ingest.lane"], _Commit(
        snapshot.snapshot_id,
        told["ingest.epoch"],
        int(told["ingest.first"]),
        int(told["ingest.last"]),
        told["ingest.writer"].startswith(REPAIR_WRITER),
    )


def _watermark(table: Table, lane: str) -> Mark | None:
    text = table.properties.get(f"watermark.{lane}")
    return parse_mark(text) if text else None
