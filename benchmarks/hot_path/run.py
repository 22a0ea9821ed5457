"""Drains one backlog by the hot path and by nats-py's fetch loop, round by round."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.backlog import backlog
from benchmarks.idle import await_rest
from benchmarks.report import Case, write

HERE = Path(__file__).parent


def main() -> None:
    """Runs the benchmark and writes its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    fetch = Case(
        "nats-py fetch", "reads and acknowledges, on uvloop; stores nothing", [], ours=False
    )
    wire = Case("hot, wire", "reads, decodes, refuses, inserts with fsync and projection", [])
    client = Case("hot, client", "the same with the nats-py reader", [])
    with tempfile.TemporaryDirectory() as folder, backlog(Path(folder), chosen.messages) as stream:
        print(f"published {stream.fill():,.0f} messages/s, each acknowledged", flush=True)
        for number in range(chosen.rounds):
            await_rest()
            fetch.rounds.append(stream.fetch())
            await_rest()
            wire.rounds.append(stream.drain("hot"))
            await_rest()
            client.rounds.append(stream.drain("hot", IOT_WRITER__READER="client"))
            rates = [f"{case.name} {case.rounds[-1].rate:,.0f}" for case in (fetch, wire, client)]
            print(f"round {number + 1}: {', '.join(rates)}", flush=True)
    command = f"make bench NAME=hot_path ARGS='--messages {chosen.messages}'"
    print(write(HERE, [fetch, wire, client], fetch.name, command))


if __name__ == "__main__":
    main()
