"""The state of the hot path's model: the stream, the kept entry, ClickHouse, and two writers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tests.model.marks import FIRST_EPOCHS, NOWHERE, Epochs, Mark, Maybe, Stream


class Pending(NamedTuple):
    """The range on record of an insert that may be under way (``ingest.hot_entry.Pending``)."""

    first: int
    last: Mark
    row: Mark
    salt: int


class Entry(NamedTuple):
    """The kept entry; its revision is the writers' ``current``: who wrote or read it last."""

    done: Mark
    row: Maybe
    pending: Pending | tuple[()]


FIRST_ENTRY = Entry(NOWHERE, (), ())
Token = tuple[int, int, int, int]
"""Epoch, first and last sequence, salt."""


class Insert(NamedTuple):
    """A block on its way to ClickHouse."""

    token: Token
    rows: tuple[Mark, ...]


class Writer(NamedTuple):
    """One process: ``at`` is where it is in its program, ``fly`` how far its insert is.

    ``current``: the entry's revision is the one it knows. ``lost``: its connection was lost since
    the reader was opened. ``known``: how many epochs the registry had then. ``held``: messages read
    and decoded, not on record. ``block``: the rows of the pending range. ``plan``: where histories
    part, while it follows a rewrite. One that is "halted" has stopped for good with the lane its
    own; one that is "alarmed" did so though another had taken the lane over.
    """

    at: str
    current: int
    lost: int
    entry: Entry
    known: int
    held: tuple[Mark, ...]
    block: tuple[Mark, ...]
    fly: str
    plan: tuple[int, ...]


OFF = Writer("off", 0, 0, FIRST_ENTRY, 0, (), (), "", ())


class Left(NamedTuple):
    """How often each misfortune may still come."""

    crashes: int = 0
    rewrites: int = 0
    evictions: int = 0
    late: int = 0
    frames: int = 0
    drops: int = 0
    backups: int = 0
    restores: int = 0
    kept_restores: int = 0


NOTHING = Left()


class Copy(NamedTuple):
    """Older copies of the key-value bucket and of the table."""

    entry: Entry | tuple[()]
    epochs: Epochs
    rows: tuple[Mark, ...]
    tokens: tuple[Token, ...]


class World(NamedTuple):
    """All of it. ``damaged``: the sink or the entry was restored and no repair has been run."""

    stream: Stream
    next: int
    epochs: Epochs
    entry: Entry | tuple[()]
    rows: tuple[Mark, ...]
    tokens: tuple[Token, ...]
    orphans: tuple[Insert, ...]
    letters: tuple[int, ...]
    writers: tuple[Writer, ...]
    left: Left
    damaged: int
    backup: Copy | tuple[()]


@dataclass(frozen=True)
class Rules:
    """The guards of the protocol; each can be taken away.

    fence: the entry changes only by compare-and-set on its revision.
    token: ClickHouse drops a block whose token it has seen.
    pending: the range is on record before its insert is sent.
    keep: a successor leaves the pending range in the entry.
    one: an insert is sent only when the one before has landed.
    look: rows of the range are looked for before it is inserted again.
    wait: their absence counts only after the deadline.
    clock: the look that counts begins after the deadline, not only its answer comes after it.
    deadline: an insert cannot land after its deadline.
    same: a rebuilt block is inserted only if the history is the one on record after it was read.
    count: after a repeated insert its rows are counted; a token that outlived them is salted.
    stock: at a take-over the table must hold the newest row on record and none beyond.
    confirm: the entry is read back before a reader is opened.
    history: what was read is compared with the stream.
    settle: after a rewrite the pending range is looked for, and its deadline waited for.
    rows: the histories part where rows say so, not where the record does.
    epoch: the token names the epoch.
    gap: a jump of the consumer's sequence is loss on the way, not a hole.
    once: a dead letter is published only if its subject has none.
    letter: a dead letter is published before its sequence is on record.
    """

    fence: bool = True
    token: bool = True
    pending: bool = True
    keep: bool = True
    one: bool = True
    look: bool = True
    wait: bool = True
    clock: bool = True
    deadline: bool = True
    same: bool = True
    count: bool = True
    stock: bool = True
    confirm: bool = True
    history: bool = True
    settle: bool = True
    rows: bool = True
    epoch: bool = True
    gap: bool = True
    once: bool = True
    letter: bool = True


AS_BUILT: frozenset[str] = frozenset()
"""Guards that the product lacks, and whose lack breaks nothing: it is searched without them."""


@dataclass(frozen=True)
class Bounds:
    """How large the searched world is.

    ``widest``: messages in one batch at most. ``halts``: nobody may ask for a repair unless
    something was restored; ``strict``: nor may a writer that was overtaken. ``reduced``: overtaken
    writers that can do no more than stop are taken as stopped.
    """

    messages: int = 3
    widest: int = 2
    writers: int = 2
    refused: tuple[int, ...] = ()
    left: Left = NOTHING
    reduced: bool = True
    halts: bool = True
    strict: bool = False


def first_world(bounds: Bounds) -> World:
    """Everything is published, and nobody has started."""
    stream = tuple(range(1, bounds.messages + 1))
    return World(
        stream,
        bounds.messages + 1,
        FIRST_EPOCHS,
        (),
        (),
        (),
        (),
        (),
        (OFF,) * bounds.writers,
        bounds.left,
        0,
        (),
    )


def put(world: World, who: int, writer: Writer) -> World:
    """The world with one writer changed."""
    writers = world.writers
    return world._replace(writers=(*writers[:who], writer, *writers[who + 1 :]))


def spent(world: World, kind: str) -> World:
    """The world with one misfortune less to come."""
    left = world.left
    return world._replace(left=left._replace(**{kind: getattr(left, kind) - 1}))


def token_of(rules: Rules, pending: Pending) -> Token:
    """The insert's deduplication token (``Pending.token``)."""
    epoch = pending.last.epoch if rules.epoch else 0
    return (epoch, pending.first, pending.last.sequence, pending.salt)


def insert_of(rules: Rules, writer: Writer) -> Insert:
    """The insert that the writer has under way."""
    assert writer.entry.pending
    return Insert(token_of(rules, writer.entry.pending), writer.block)


def is_there(world: World, pending: Pending) -> bool:
    """Whether rows of exactly that epoch and range exist (``ClickHouseSink.rows_in``)."""
    epoch, first, last = pending.last.epoch, pending.first, pending.last.sequence
    return any(row.epoch == epoch and first <= row.sequence <= last for row in world.rows)


def landed(rules: Rules, world: World, insert: Insert) -> World:
    """ClickHouse takes the block up: all of it or, when the token was seen, nothing."""
    if rules.token and insert.token in world.tokens:
        return world
    return world._replace(
        rows=tuple(sorted(world.rows + insert.rows)),
        tokens=tuple(sorted({*world.tokens, insert.token})) if rules.token else (),
    )


def orphaned(world: World, insert: Insert) -> World:
    """Nobody waits for the insert's answer any more; it may land yet."""
    return world._replace(orphans=tuple(sorted((*world.orphans, insert))))


def settled(entry: Entry) -> Entry:
    """The entry with its pending range moved to done."""
    pending = entry.pending
    assert pending
    return Entry(pending.last, pending.row, ())


def text(pending: Pending) -> str:
    """The range for a trace."""
    last = pending.last.sequence
    return str(last) if pending.first == last else f"{pending.first}-{last}"
