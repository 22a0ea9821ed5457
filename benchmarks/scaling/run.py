"""Drains streams of different number, size and form of messages by the hot path."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.backlog import ROOT, Backlog, backlog
from benchmarks.idle import await_rest
from benchmarks.page import Run, write
from benchmarks.scaling.plan import BATCH, COLUMNS, COUNT, PAYLOAD, SIZE, Stream, plan
from benchmarks.scaling.sources import wider_contract
from benchmarks.scaling.tables import Measured, plots, tables
from ingest.provision import init
from simulator.manifest import Origin
from simulator.publisher import PublishOptions, publish

HERE = Path(__file__).parent
PACKAGED = ROOT / "ingest/contracts/readings.toml"
GROUPS = (COUNT, BATCH, SIZE, COLUMNS, PAYLOAD)
_ORIGIN = Origin("bench", "readings", "readings", "benchmark")


def main() -> None:
    """Runs the benchmark and writes its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of it; writes nothing")
    parser.add_argument("--only", choices=GROUPS, help="one table; prints figures, writes nothing")
    chosen = parser.parse_args()
    # So that an ended benchmark ends its processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run.now("scaling", sys.argv[1:])
    found: list[Measured] = []
    for stream in plan(quick=chosen.quick):
        if chosen.only in (None, *(way.group for way in stream.ways)):
            found += measured(stream, rested=not chosen.quick)
    if chosen.only:
        return
    text = tables(run, found)
    drawn = plots(found)
    if not chosen.quick:
        for name, document in drawn.items():
            (HERE / name).write_text(document, encoding="utf-8")
        write(HERE, run, {"ways": [one.figures for one in found]}, text)
    print(text)


def measured(stream: Stream, *, rested: bool) -> list[Measured]:
    """A platform with the stream, drained in each of its ways, round by round.

    ``rested``: each time only when the machine has nothing else to do.
    """
    results = [Measured(way, stream.rows_per_message, []) for way in stream.ways]
    with tempfile.TemporaryDirectory() as folder, backlog(Path(folder), stream.messages) as made:
        rate = fill(made, stream, Path(folder))
        print(f"published {stream.messages:,} messages at {rate:,.0f}/s", flush=True)
        for number in range(max(way.rounds for way in stream.ways)):
            for one in results:
                if number < one.way.rounds:
                    if rested:
                        await_rest()
                    one.rounds.append(made.drain("hot", **one.way.env))
                    print(f"{one.way.group} {one.way.name}: {one.rounds[-1]}", flush=True)
    return results


def fill(made: Backlog, stream: Stream, folder: Path) -> float:
    """Publishes the stream under its contract; returns acknowledged messages a second."""
    if stream.columns:
        file = wider_contract(PACKAGED, stream.columns, folder / "wider.toml")
        made.env["IOT_CONTRACT"] = str(file)
    settings = made.settings()
    asyncio.run(init(settings))
    options = PublishOptions(nats=settings.nats, message_ids=False)
    started = time.monotonic()
    manifest = asyncio.run(publish(stream.source(), options, _ORIGIN))
    assert manifest.complete, "not every message was acknowledged"
    assert manifest.messages == stream.messages, f"{manifest.messages:,} messages were published"
    return manifest.messages / (time.monotonic() - started)


if __name__ == "__main__":
    main()
