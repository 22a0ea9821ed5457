"""The state of the lake path's model: the stream, the Iceberg table, the fence, and two writers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tests.model.marks import FIRST_EPOCHS, NOWHERE, Epochs, Mark, Maybe, Stream


class Table(NamedTuple):
    """The metadata object that the catalog has, and the rows of its current snapshot.

    ``watermark``, ``row`` and ``commit`` are properties. ``line``: the current snapshot and those
    before it, each with the commit that made it (0: another tool); ``listed``: every snapshot that
    the metadata still names.
    """

    snapshot: int
    rows: tuple[Mark, ...]
    watermark: Maybe
    row: Maybe
    commit: int
    line: tuple[tuple[int, int], ...]
    listed: tuple[tuple[int, int], ...]


class Loaded(NamedTuple):
    """What a writer keeps of the table as it loaded it; ``why`` tells of a roll-back."""

    snapshot: int
    watermark: Maybe
    why: str


class Attempt(NamedTuple):
    """One range's commit over all its tries (``ingest.lake_commit.Attempt``)."""

    commit: int
    messages: tuple[Mark, ...]
    at: str
    base: int


class Sent(NamedTuple):
    """A staged commit on its way to the catalog, for whose answer nobody waits."""

    commit: int
    messages: tuple[Mark, ...]
    base: int


class Writer(NamedTuple):
    """One process.

    ``current``: the fence is its own. ``lost``: its connection was lost since the reader was
    opened. ``watermark`` and ``base``: what it left in the table, or found there. ``table``: as it
    was loaded last. ``spool``: messages read and in no commit. ``under``: the epoch that it found
    to have been rewritten into.
    """

    at: str
    current: int
    lost: int
    known: int
    watermark: Maybe
    base: int
    table: Loaded | tuple[()]
    spool: tuple[Mark, ...]
    read: Maybe
    position: int
    under: int
    attempt: Attempt | tuple[()]
    plan: tuple[int, ...]


OFF = Writer("off", 0, 0, 0, (), 0, (), (), (), 0, 0, (), ())


class Left(NamedTuple):
    """How often each misfortune may still come."""

    crashes: int = 0
    rewrites: int = 0
    optimizes: int = 0
    expires: int = 0
    backups: int = 0
    rollbacks: int = 0
    restores: int = 0


NOTHING = Left()


class World(NamedTuple):
    """All of it.

    ``hot`` is the newest message on the hot path's record, ``hot_hand`` one that it has read and
    not recorded, ``hot_rows`` the names that it gave.
    """

    stream: Stream
    next: int
    epochs: Epochs
    table: Table
    snapshots: int
    orphans: tuple[Sent, ...]
    writers: tuple[Writer, ...]
    left: Left
    hot: Mark
    hot_hand: Maybe
    hot_lost: int
    hot_rows: tuple[Mark, ...]
    damaged: int
    backup: Table | tuple[()]


@dataclass(frozen=True)
class Rules:
    """The guards of the protocol; each can be taken away.

    requirement: the catalog takes a commit only on the snapshot that it was staged on.
    watermark: the base must carry exactly the watermark that the writer left.
    exact: a watermark at or above the range's end is another writer, not "already there".
    once: a commit is sent once, and a conflict is looked into before the next try.
    commit: a commit whose snapshot has gone is known by its id in the table's properties.
    append: a range without rows is an append too, so that it carries the requirement.
    property: the watermark is a property of the table, not of a snapshot.
    data: at a start watermark and rows must agree.
    base: the snapshot that the writer left must be in the table's line.
    fence: a successor's number in the key-value bucket, asked before a commit and a reading.
    history: what was read is compared with the stream.
    spool: so is what was read and not committed.
    hot: so is what the hot path has read.
    rows: the histories part where rows say so, not where the record does.
    ask: the registry is read after a message was received.
    finish: a commit under way is waited for before histories are parted.
    """

    requirement: bool = True
    watermark: bool = True
    exact: bool = True
    once: bool = True
    commit: bool = True
    append: bool = True
    property: bool = True
    data: bool = True
    base: bool = True
    fence: bool = True
    history: bool = True
    spool: bool = True
    hot: bool = True
    rows: bool = True
    ask: bool = True
    finish: bool = True


@dataclass(frozen=True)
class Bounds:
    """How large the searched world is.

    ``with_hot``: the hot path reads the stream beside it; ``in_hand``: not all that it has read is
    on its record already; ``hot_leads``: the lake never reads ahead of it. ``reduced``: overtaken
    writers that can do no more than stop are taken as stopped.
    """

    messages: int = 3
    writers: int = 2
    refused: tuple[int, ...] = ()
    left: Left = NOTHING
    with_hot: bool = False
    in_hand: bool = False
    hot_leads: bool = False
    reduced: bool = True


FIRST_TABLE = Table(0, (), (), (), 0, (), ())


def first_world(bounds: Bounds) -> World:
    """Everything is published, and nobody has started."""
    stream = tuple(range(1, bounds.messages + 1))
    return World(
        stream,
        bounds.messages + 1,
        FIRST_EPOCHS,
        FIRST_TABLE,
        0,
        (),
        (OFF,) * bounds.writers,
        bounds.left,
        NOWHERE,
        (),
        0,
        (),
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


def stop(world: World, who: int) -> World:
    """The writer ends; a commit that it has sent may land yet."""
    attempt = world.writers[who].attempt
    if attempt and attempt.at == "sent":
        world = orphaned(world, attempt)
    return put(world, who, OFF)


def halt(world: World, who: int, why: str) -> tuple[tuple[object, ...], World]:
    """The writer stops for good and asks for a repair (exit 3)."""
    return (who, "stops for good: " + why), put(stop(world, who), who, OFF._replace(at="halted"))


def orphaned(world: World, attempt: Attempt) -> World:
    """Nobody waits for the commit's answer any more."""
    sent = Sent(attempt.commit, attempt.messages, attempt.base)
    return world._replace(orphans=tuple(sorted({*world.orphans, sent})))


def text(messages: tuple[Mark, ...]) -> str:
    """The range for a trace."""
    first, last = messages[0].sequence, messages[-1].sequence
    return str(first) if first == last else f"{first}-{last}"
