"""Ten million readings proven at rest, then only what was added to them."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.budget.archive import Archive, day_before, make_archive
from benchmarks.budget.phases import reconciled
from benchmarks.reconciliation.tables import write
from benchmarks.reconciliation.verifying import verified
from benchmarks.report import commit, machine
from devstack.supervisor import Devstack

READINGS, NEW = 10_000_000, 200_000
PATIENCE_S = 1_800.0
ENGINES = ("nats", "clickhouse", "seaweedfs", "trino")


def main() -> None:
    """Runs the benchmark and writes its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=READINGS)
    readings = parser.parse_args().readings
    facts = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "command": "make bench NAME=reconciliation"
        + (f" ARGS='--readings {readings}'" if readings != READINGS else ""),
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        Devstack(Path(folder) / "devstack", ENGINES, ephemeral_ports=True) as stack,
    ):
        archive = make_archive(Path(folder), stack.env, 0)
        cases = _measured(archive, stack, readings)
    print(write(facts, cases))


def _measured(archive: Archive, stack: Devstack, readings: int) -> list[dict[str, Any]]:
    today = datetime.now(UTC)
    _add(archive, readings, day_before(today, 2))
    cases = [
        _case(
            "reconciliation, everything",
            stack,
            lambda: reconciled(archive, PATIENCE_S, guarded=False),
        )
    ]
    _add(archive, NEW, day_before(today, 1))
    cases.append(
        _case(
            f"reconciliation, {NEW:,} more",
            stack,
            lambda: reconciled(archive, PATIENCE_S, guarded=False),
        )
    )
    cases.append(_case("ingest verify --full", stack, lambda: verified(archive)))
    return cases


def _add(archive: Archive, readings: int, day: datetime) -> None:
    archive.publish(readings, day, seed=readings)
    archive.drain("lake", "hot")


def _case(name: str, stack: Devstack, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Figures of the work, and the CPU that each engine used for it."""
    before = _cpu(stack)
    found = work()
    used = {engine: round(now - before[engine], 1) for engine, now in _cpu(stack).items()}
    case = {"case": name, **found, "engines_cpu_s": used}
    print(json.dumps(case), flush=True)
    return case


def _cpu(stack: Devstack) -> dict[str, float]:
    return {name: sum(psutil.Process(stack.pid(name)).cpu_times()[:2]) for name in ENGINES}


if __name__ == "__main__":
    main()
