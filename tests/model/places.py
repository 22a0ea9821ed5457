"""Which function of the product does each step of the models, and which fault points lie there.

A process that is killed at a fault point dies in the model at the step named here: the model lets
it die before and after every step.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A step of a model: ``ingest.<function>`` does it; these fault points are reached in it."""

    step: str
    function: str
    fault_points: tuple[str, ...] = ()


HOT = (
    Place("off", "hot_entry.EntryStore.take_over"),
    Place("alarmed", "hot_entry.EntryStore.take_over"),
    Place("make", "hot_entry.EntryStore.move"),
    Place("fence", "hot_entry.EntryStore.move"),
    Place("stock", "hot_takeover.HotTakeOver._compare_with_sink"),
    Place("stock new", "hot_takeover.HotTakeOver._compare_with_sink"),
    Place("settle", "hot_insert.HotInserter.landed", ("hot.before_settle",)),
    Place("absent", "hot_insert.HotInserter.landed"),
    Place("late", "hot_insert.HotInserter.landed"),
    Place("found", "hot_takeover.HotTakeOver._move_pending_to_done"),
    Place("compare", "hot_takeover.HotTakeOver._compare"),
    Place("rebuild", "hot_takeover.HotTakeOver._rebuild"),
    Place("settling", "hot_takeover.HotTakeOver._insert_again", ("hot.after_rebuild",)),
    Place("open", "hot_entry.EntryStore.confirm"),
    Place("check", "hot_takeover.HotTakeOver.follow_history"),
    Place("give up", "hot_takeover.HotTakeOver._give_up_pending", ("hot.before_settle",)),
    Place("given", "hot_takeover.HotTakeOver._move_pending_to_done"),
    Place("gone", "hot_takeover.HotTakeOver._give_up_pending"),
    Place("gone late", "hot_takeover.HotTakeOver._give_up_pending"),
    Place("follow", "history.follow"),
    Place("name", "history.new_epoch"),
    Place("back", "hot_takeover.HotTakeOver._go_back"),
    Place(
        "run", "lane.Lane.batches", ("dlq.before_publish", "dlq.after_publish", "hot.before_intent")
    ),
    Place("letters", "dlq.DeadLetterQueue.publish"),
    Place("ready", "hot_insert.HotInserter._send", ("hot.after_intent",)),
    Place("ready again", "hot_insert.HotInserter._send"),
    Place("sent", "sinks.clickhouse.ClickHouseSink.insert"),
    Place("sent again", "sinks.clickhouse.ClickHouseSink.insert"),
    Place("landed", "hot_insert.HotInserter._land", ("hot.with_next_decoded",)),
    Place("landed again", "hot_insert.HotInserter.settle"),
    Place("doubt", "hot_insert.HotInserter.landed", ("hot.before_settle",)),
    Place("doubt later", "hot_insert.HotInserter.landed"),
    Place("look", "hot_insert.HotInserter.landed", ("hot.before_settle",)),
    Place("renew", "hot_insert.HotInserter._send_again"),
    Place("count", "hot_insert.HotInserter.landed", ("hot.before_settle",)),
    Place("salt", "hot_insert.HotInserter._salt"),
    Place("done", "hot_insert.HotInserter.write_done", ("hot.after_insert", "hot.after_done")),
)

LAKE = (
    Place("off", "fence.Fence.take_over"),
    Place("fence", "fence.Fence.take_over"),
    Place("load", "lake_takeover.LakeTakeOver.start"),
    Place("open", "fence.Fence.confirm"),
    Place("check", "lake_takeover.LakeTakeOver.follow_history"),
    Place("finish", "lake_commit.LakeCommitter.finish"),
    Place("follow", "history.follow"),
    Place("name", "history.new_epoch"),
    Place(
        "run",
        "lake.LakeWriter._put",
        ("dlq.before_publish", "dlq.after_publish", "lake.after_spool"),
    ),
    Place("try", "lake_commit.LakeCommitter._try", ("lake.before_upload",)),
    Place("staged", "sinks.iceberg.IcebergSink.stage", ("lake.after_upload",)),
    Place("sent", "sinks.iceberg.IcebergSink.send"),
    Place("landed", "sinks.iceberg.IcebergSink.send"),
    Place("refused", "sinks.iceberg.IcebergSink.send"),
    Place("told", "lake_commit.LakeCommitter._commit", ("lake.before_settle", "lake.after_commit")),
    Place("conflict", "lake_commit.LakeCommitter._has_landed", ("lake.before_settle",)),
    Place("unknown", "lake_commit.LakeCommitter._has_landed", ("lake.before_settle",)),
)


def table() -> str:
    """Both lists as Markdown, for docs/model.md."""
    lines: list[str] = []
    for title, places in (("hot", HOT), ("lake", LAKE)):
        lines += [f"| {title}: step | in `ingest` | fault points |", "|---|---|---|"]
        for one in places:
            points = ", ".join(f"`{point}`" for point in one.fault_points)
            lines.append(f"| {one.step} | `{one.function}` | {points} |")
        lines.append("")
    return "\n".join(lines[:-1])
