"""The parts of both paths alone, then the paths, on one backlog, round by round."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.backlog import ROOT, Backlog, Drain
from benchmarks.idle import await_rest
from benchmarks.limits.tables import PATHS, SERVERS, Part, Round, tables
from benchmarks.page import Run, write
from benchmarks.plot import Bar, bars
from devstack.supervisor import Devstack

HERE = Path(__file__).parent
PARTS = (
    Part("socket", "bare socket", "pulls, cuts frames at line breaks, counts"),
    Part("reader", "reader", "frames, sequences, times, gaps and holes; nothing behind it"),
    Part("decode", "decoder", "messages in memory to Arrow, refusals looked for"),
    Part("insert", "Arrow insert", "batches of 50,000 prepared, into the hot table, with fsync"),
    Part("parquet", "Parquet", "the same rows to files on local disk, zstd, not sorted"),
    Part("hot", "hot path", "all work: stream to ClickHouse"),
    Part("lake", "lake path", "all work: stream to Iceberg, sorted, on S3"),
)


def main() -> None:
    """Runs the benchmark and writes its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="200,000, one round; writes nothing")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.messages, chosen.rounds = 200_000, 1
    # So that an ended benchmark ends its processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run.now("limits", sys.argv[1:])
    rounds: dict[str, list[Round]] = {part.name: [] for part in PARTS}
    with (
        tempfile.TemporaryDirectory() as folder,
        Devstack(Path(folder) / "devstack", ephemeral_ports=True) as stack,
    ):
        stream = Backlog(stack, Path(folder), chosen.messages)
        print(f"published {stream.fill():,.0f} messages/s, each acknowledged", flush=True)
        for number in range(chosen.rounds):
            for part in PARTS:
                if not chosen.quick:
                    await_rest()
                rounds[part.name].append(measured(stack, stream, Path(folder), part.name))
                rate = rounds[part.name][-1].drain.rate
                print(f"round {number + 1}: {part.title} {rate:,.0f}/s", flush=True)
    text = tables(run, PARTS, rounds)
    if not chosen.quick:
        (HERE / "limits.svg").write_text(plot(rounds), encoding="utf-8")
        figures = {name: [one.figures for one in found] for name, found in rounds.items()}
        write(HERE, run, {"parts": figures}, text)
    print(text)


def plot(rounds: Mapping[str, Sequence[Round]]) -> str:
    """Rates of the parts, and of the paths, which stand out."""
    rows = [
        Bar(
            part.title,
            [one.drain.rate for one in rounds[part.name]],
            outstanding=part.name in PATHS,
        )
        for part in PARTS
    ]
    return bars("Messages a second", rows)


def measured(stack: Devstack, stream: Backlog, folder: Path, name: str) -> Round:
    """One round of a part or of a path, and what the servers did for it."""
    before = servers_s(stack)
    if name in PATHS:
        drain = stream.drain(name, **lake_commits(stream.messages))
    else:
        drain = probed(stream, folder, name)
    after = servers_s(stack)
    each = {k: (after[k] - before[k]) / drain.messages * 1e6 for k in SERVERS}
    return Round(drain, each)


def probed(stream: Backlog, folder: Path, name: str) -> Drain:
    """A part alone, in a process of its own."""
    dropped = ("IOT_", "PYTHONDONTWRITEBYTECODE")
    outside = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.limits.probe", name, str(stream.messages)],
        cwd=folder,
        env={**outside, **stream.env, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["messages"] >= stream.messages, f"{name} did {found['messages']} messages only"
    return Drain(found["messages"], found["seconds"], found["cpu"], found["rss"])


def servers_s(stack: Devstack) -> dict[str, float]:
    """CPU seconds of each server so far."""
    return {name: sum(psutil.Process(stack.pid(name)).cpu_times()[:2]) for name in SERVERS}


def lake_commits(messages: int) -> dict[str, str]:
    """Settings under which the last commit is due with the last message, not by age."""
    return {
        "IOT_LAKE__COMMIT_MAX_ROWS": str(messages // 2),
        "IOT_LAKE__COMMIT_MAX_BYTES": str(4 << 30),
        "IOT_LAKE__COMMIT_MAX_AGE_S": "3600",
    }


if __name__ == "__main__":
    main()
