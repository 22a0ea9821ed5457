"""The catalog: what a commit, a compaction, an expiry or a restored copy make of the table."""

from __future__ import annotations

from tests.model.lake_state import Bounds, Loaded, Rules, Sent, Table, World
from tests.model.marks import Mark, newest_row


def committed(rules: Rules, bounds: Bounds, world: World, sent: Sent) -> World | None:
    """The table with the commit; None when the catalog refuses it for its base."""
    table = world.table
    rows = tuple(mark for mark in sent.messages if mark.message not in bounds.refused)
    last = sent.messages[-1]
    if not rows and not rules.append:
        changed = table._replace(watermark=last, commit=sent.commit)
        return world._replace(table=changed)
    if rules.requirement and sent.base != table.snapshot:
        return None
    number = world.snapshots + 1
    made = (number, sent.commit)
    changed = Table(
        number,
        tuple(sorted(table.rows + rows)),
        last,
        rows[-1] if rows else table.row,
        sent.commit,
        (*table.line, made),
        (*table.listed, made),
    )
    return world._replace(table=changed, snapshots=number)


def optimized(world: World) -> World:
    """A compaction: the same rows in other files, under a snapshot of its own."""
    number, table = world.snapshots + 1, world.table
    made = (number, 0)
    return world._replace(
        snapshots=number,
        table=table._replace(
            snapshot=number, line=(*table.line, made), listed=(*table.listed, made)
        ),
    )


def expired(rules: Rules, table: Table) -> Table:
    """Only the current snapshot stays; properties stay, summaries go with their snapshots."""
    current = table.line[-1:]
    if not rules.property and current and current[0][1] == 0:
        table = table._replace(watermark=(), commit=0)
    return table._replace(line=current, listed=current)


def rolled_back(table: Table, backup: Table) -> Table:
    """An earlier snapshot made the current one: its rows, today's properties."""
    return table._replace(snapshot=backup.snapshot, rows=backup.rows, line=backup.line)


def disagreement(table: Table) -> str:
    """What tells that the rows are not those of the watermark (``lake_agreement``)."""
    watermark, last = table.watermark, table.row
    if not watermark:
        return "rows are there, but no watermark" if table.rows else ""
    if any(
        row.epoch == watermark.epoch and row.sequence > watermark.sequence for row in table.rows
    ):
        return "rows lie above the watermark"
    if last:
        newest = newest_row(table.rows, 1 << 30, last.epoch)
        if not newest or newest.sequence < last.sequence:
            return "the newest row committed is missing"
    return ""


def loaded(table: Table, base: int) -> Loaded:
    """The table as a writer that left ``base`` loads it."""
    return Loaded(table.snapshot, table.watermark, base_gone(table, base))


def base_gone(table: Table, base: int) -> str:
    """What tells that the table was rolled back behind ``base`` (``compare_with_base``)."""
    if not base or any(number == base for number, _ in table.line):
        return ""
    if any(number == base for number, _ in table.listed):
        return "the table was rolled back behind the snapshot that it left"
    return disagreement(table)


def repaired(bounds: Bounds, world: World) -> World:
    """``ingest repair lake`` in one step, for a history that was not rewritten."""
    table = world.table
    marks = [*table.rows, *([table.watermark] if table.watermark else [])]
    upto = max((mark.sequence for mark in marks), default=0)
    upto = max(upto, table.row.sequence if table.row else 0)
    wanted = {
        Mark(0, sequence, world.stream[sequence - 1])
        for sequence in range(1, upto + 1)
        if world.stream[sequence - 1] not in bounds.refused
    }
    rows = tuple(sorted({*table.rows, *wanted}))
    number = world.snapshots + 1
    made = (number, 0)
    watermark = Mark(0, upto, world.stream[upto - 1]) if upto else ()
    return world._replace(
        snapshots=number,
        orphans=(),
        damaged=0,
        table=Table(
            number,
            rows,
            watermark,
            newest_row(rows, upto, 0),
            0,
            (*table.line, made),
            (*table.listed, made),
        ),
    )
