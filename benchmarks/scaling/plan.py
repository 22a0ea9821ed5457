"""Which streams are made, and how each of them is drained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.scaling.sources import sized, widened
from simulator.fleet import Fleet, FleetOptions
from simulator.payloads import PayloadKind
from simulator.readings import Message

COUNT, BATCH, SIZE, COLUMNS, PAYLOAD = "count", "batch", "size", "columns", "payload"
LEAST = 1_000
"""Messages of the smallest stream: what it costs is the writer's start."""
# Batches that are full of bytes before they are full of rows leave a rest that waits for more.
SHORT_WAIT = {"IOT_HOT__BATCH_MAX_AGE_S": "0.1"}
LARGE_BATCH = {
    **SHORT_WAIT,
    "IOT_HOT__BATCH_MAX_ROWS": "500000",
    "IOT_HOT__BATCH_MAX_BYTES": str(256 << 20),
}


@dataclass(frozen=True)
class Way:
    """One way to drain a stream: a row of the table ``group``, measured ``rounds`` times.

    ``at`` is its place on the table's scale (messages, rows of a batch, bytes, columns).
    """

    group: str
    name: str
    at: int
    rounds: int = 3
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """A stream to be made and drained in several ways.

    ``columns`` are those that its contract has more than the packaged one.
    """

    messages: int
    source: Callable[[], Iterable[Message]]
    ways: tuple[Way, ...]
    rows_per_message: int = 1
    columns: int = 0


def plan(*, quick: bool) -> list[Stream]:
    """All streams; ``quick`` makes each about a twentieth as large, and drains it once."""
    less = 20 if quick else 1
    rounds = 1 if quick else 3
    streams = [
        _counted(LEAST, rounds),
        _counted(100_000 // less, 1 if quick else 5),
        _counted(1_000_000 // less, rounds, *_batches(rounds)),
        _counted(10_000_000 // less, 1),
    ]
    for size, count in ((100, 1_000_000), (1_000, 400_000), (10_000, 40_000)):
        way = Way(SIZE, f"{size:,} bytes", size, rounds, SHORT_WAIT if size > 100 else {})
        streams.append(Stream(count // less, partial(sized, count // less, size), (way,)))
    for columns in (0, 1, 2, 4, 8):
        way = Way(COLUMNS, f"{columns} more", columns, rounds)
        source = partial(widened, 500_000 // less, columns)
        streams.append(Stream(500_000 // less, source, (way,), columns=columns))
    kinds: tuple[tuple[PayloadKind, int, int], ...] = (
        ("json", 1, 1_000_000),
        ("array", 10, 2_000_000),
        ("array", 100, 4_000_000),
        ("arrow", 1_000, 10_000_000),
    )
    for kind, rows, readings in kinds:
        streams.append(_payload(kind, rows, readings // less, rounds))
    return streams


def _counted(messages: int, rounds: int, *more: Way) -> Stream:
    way = Way(COUNT, f"{messages:,}", messages, rounds)
    return Stream(messages, partial(_fleet, "json", 1, messages), (way, *more))


def _batches(rounds: int) -> list[Way]:
    return [
        Way(BATCH, f"{rows:,}", rows, rounds, {"IOT_HOT__BATCH_MAX_ROWS": str(rows)})
        for rows in (1_000, 10_000, 50_000, 100_000)
    ]


def _payload(kind: PayloadKind, rows: int, readings: int, rounds: int) -> Stream:
    title = {"json": "JSON object", "array": f"JSON array of {rows}", "arrow": f"Arrow of {rows:,}"}
    ways = [Way(PAYLOAD, title[kind], rows, rounds, SHORT_WAIT if rows > 1 else {})]
    if rows > 1:
        ways.append(Way(PAYLOAD, f"{title[kind]}, batches of 500,000", rows, rounds, LARGE_BATCH))
    source = partial(_fleet, kind, rows, readings)
    return Stream(readings // rows, source, tuple(ways), rows_per_message=rows)


def _fleet(kind: PayloadKind, rows: int, readings: int) -> Fleet:
    options = FleetOptions(start_us=0, count=readings, payload=kind, rows_per_message=rows)
    return Fleet(options.starting(None, now_us=time.time_ns() // 1000))
