"""One commit: staged, sent, answered or not (``ingest.lake_commit.LakeCommitter``)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.lake_state import (
    Bounds,
    Rules,
    Sent,
    World,
    halt,
    orphaned,
    put,
    stop,
    text,
)
from tests.model.lake_table import committed, loaded
from tests.model.search import Step

UNLISTED = 97
"""The writer's own snapshot where the table does not name it any more."""


def task(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """What the commit under way does, whatever the writer does meanwhile."""
    attempt = world.writers[who].attempt
    if attempt:
        yield from STEPS[attempt.at](rules, bounds, world, who)


def _try(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The base's watermark and line must be as they were left; then the commit is staged on it."""
    writer = world.writers[who]
    table, attempt = writer.table, writer.attempt
    assert table
    assert attempt
    last = attempt.messages[-1]
    if not rules.exact:
        if table.watermark and table.watermark.sequence >= last.sequence:
            yield (
                (who, "takes {} for committed", text(attempt.messages)),
                put(world, who, writer._replace(attempt=(), watermark=last)),
            )
            return
    elif rules.watermark and table.watermark != writer.watermark:
        yield (who, "finds another watermark than it left: exit 4"), stop(world, who)
        return
    if rules.base and table.why:
        yield halt(world, who, table.why)
        return
    staged = attempt._replace(at="staged", base=table.snapshot)
    yield (
        (who, "stages {} on snapshot {}", text(attempt.messages), table.snapshot),
        put(world, who, writer._replace(attempt=staged)),
    )


def _staged(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The fence is asked, then the commit is sent."""
    writer = world.writers[who]
    attempt = writer.attempt
    assert attempt
    if rules.fence and not writer.current:
        yield (who, "finds another writer's fence: exit 4"), stop(world, who)
        return
    yield (
        (who, "sends the commit of {}", text(attempt.messages)),
        put(world, who, writer._replace(attempt=attempt._replace(at="sent"))),
    )


def _sent(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    writer = world.writers[who]
    attempt = writer.attempt
    assert attempt
    said = text(attempt.messages)
    after = committed(rules, bounds, world, Sent(attempt.commit, attempt.messages, attempt.base))
    if after is None:
        refused = writer._replace(attempt=attempt._replace(at="refused"))
        yield (-1, "the catalog refuses the commit of {}", said), put(world, who, refused)
    else:
        taken = writer._replace(attempt=attempt._replace(at="landed"))
        yield (-1, "the catalog takes the commit of {}", said), put(after, who, taken)
    unknown = writer._replace(attempt=attempt._replace(at="unknown"))
    yield (
        (who, "gets no answer for {}, which is on its way", said),
        put(orphaned(world, attempt), who, unknown),
    )


def _landed(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The answer may say so, be lost, or be the refusal of a second copy sent on the way."""
    writer = world.writers[who]
    attempt = writer.attempt
    assert attempt
    said = text(attempt.messages)
    yield (
        (who, "is told that {} was committed", said),
        put(world, who, writer._replace(attempt=attempt._replace(at="told"))),
    )
    yield (
        (who, "gets no answer for {}", said),
        put(world, who, writer._replace(attempt=attempt._replace(at="unknown"))),
    )
    yield (
        (who, "is told of a conflict for {}, which had landed", said),
        put(world, who, writer._replace(attempt=attempt._replace(at="conflict"))),
    )


def _refused(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    writer = world.writers[who]
    attempt = writer.attempt
    assert attempt
    yield (
        (who, "is told of a conflict for {}", text(attempt.messages)),
        put(world, who, writer._replace(attempt=attempt._replace(at="conflict"))),
    )
    yield (
        (who, "gets no answer for {}", text(attempt.messages)),
        put(world, who, writer._replace(attempt=attempt._replace(at="unknown"))),
    )


def _told(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """The answer is believed; the table is loaded for the next commit."""
    writer = world.writers[who]
    attempt = writer.attempt
    assert attempt
    base = next(
        (number for number, commit in world.table.listed if commit == attempt.commit), UNLISTED
    )
    then = writer._replace(
        attempt=(), watermark=attempt.messages[-1], base=base, table=loaded(world.table, base)
    )
    yield (who, "loads the table"), put(world, who, then)


def _look(rules: Rules, bounds: Bounds, world: World, who: int) -> Iterator[Step[World]]:
    """``_reload`` and ``_has_landed``: the table decides."""
    writer, table = world.writers[who], world.table
    attempt = writer.attempt
    assert attempt
    said = text(attempt.messages)
    if not rules.once:
        again = attempt._replace(at="staged", base=table.snapshot)
        yield (
            (who, "stages {} anew on snapshot {}, without a look", said, table.snapshot),
            put(world, who, writer._replace(attempt=again, table=loaded(table, writer.base))),
        )
        return
    own = next((number for number, commit in table.listed if commit == attempt.commit), 0)
    by_id = table.watermark == attempt.messages[-1] and table.commit == attempt.commit
    if own or (rules.commit and by_id):
        then = writer._replace(
            attempt=(),
            watermark=attempt.messages[-1],
            base=own or table.snapshot,
            table=loaded(table, own or table.snapshot),
        )
        yield (who, "loads the table: {} is there", said), put(world, who, then)
        return
    again = attempt._replace(at="try", base=0)
    yield (
        (who, "loads the table: {} is not there", said),
        put(world, who, writer._replace(attempt=again, table=loaded(table, writer.base))),
    )


STEPS = {
    "try": _try,
    "staged": _staged,
    "sent": _sent,
    "landed": _landed,
    "refused": _refused,
    "told": _told,
    "conflict": _look,
    "unknown": _look,
}
