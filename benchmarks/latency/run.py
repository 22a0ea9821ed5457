"""Latency from a reading's due time to being visible in ClickHouse, at shares of the maximum."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.budget.archive import settings_of
from benchmarks.budget.load import hot_writer
from benchmarks.latency.steps import Stage, Step
from benchmarks.latency.tables import plot, tables
from benchmarks.latency.watching import Watch
from benchmarks.page import Run, write
from devstack.supervisor import Devstack
from ingest.contract import load_contract
from ingest.provision import init

HERE = Path(__file__).parent
SHARES = (0.1, 0.5, 0.8)


def main() -> None:
    """Runs the benchmark and writes its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=45.0, help="of each load")
    parser.add_argument("--quick", action="store_true", help="8 s a load; writes nothing")
    chosen = parser.parse_args()
    # So that an ended benchmark ends its processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run.now("latency", sys.argv[1:])
    with (
        tempfile.TemporaryDirectory() as folder,
        Devstack(Path(folder) / "devstack", ephemeral_ports=True) as stack,
    ):
        maximum, steps = measured(Path(folder), stack, 8.0 if chosen.quick else chosen.seconds)
    text = tables(run, maximum, steps)
    if not chosen.quick:
        figures = {"maximum": maximum, "steps": [one.as_dict() for one in steps]}
        (HERE / "latency.svg").write_text(plot(steps), encoding="utf-8")
        write(HERE, run, figures, text)
    print(text)


def measured(folder: Path, stack: Devstack, seconds: float) -> tuple[float, list[Step]]:
    """The maximum, and every load in turn, under one writer with the settings as they are."""
    env = stack.env
    settings = settings_of(folder, env)
    asyncio.run(init(settings))
    contract = load_contract(settings.contract)
    table = f"{contract.namespace}.{contract.table}"
    steps = []
    with hot_writer(folder, env, 0) as hot, Watch(settings.clickhouse, table) as watch:
        processes = {"hot": hot, **{name: stack.pid(name) for name in ("nats", "clickhouse")}}
        stage = Stage(folder, env, settings, table, watch, processes)
        maximum = stage.maximum(max(seconds / 2, 8.0))
        print(f"maximum {maximum:,.0f} messages/s", flush=True)
        for share in SHARES:
            steps.append(stage.step(share, maximum, seconds))
            print(f"{share:.0%}: {steps[-1].latency}", flush=True)
    return maximum, steps


if __name__ == "__main__":
    main()
