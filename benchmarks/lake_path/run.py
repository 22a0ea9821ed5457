"""Drains one backlog by the hot path and by the lake path, round by round."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.backlog import backlog
from benchmarks.idle import await_rest
from benchmarks.report import Case, write

HERE = Path(__file__).parent
COMMIT_ROWS = 500_000


def main() -> None:
    """Runs the benchmark and writes its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    hot = Case("hot", "inserts into ClickHouse", [])
    half = Case("lake, 500k", f"commits of {COMMIT_ROWS:,} rows", [])
    whole = Case("lake, one commit", f"one commit of {chosen.messages:,} rows", [])
    with tempfile.TemporaryDirectory() as folder, backlog(Path(folder), chosen.messages) as stream:
        print(f"published {stream.fill():,.0f} messages/s, each acknowledged", flush=True)
        for number in range(chosen.rounds):
            await_rest()
            hot.rounds.append(stream.drain("hot"))
            for case, rows in ((half, COMMIT_ROWS), (whole, chosen.messages)):
                await_rest()
                case.rounds.append(
                    stream.drain(
                        "lake",
                        IOT_LAKE__COMMIT_MAX_ROWS=str(rows),
                        IOT_LAKE__COMMIT_MAX_BYTES=str(4 << 30),
                        IOT_LAKE__COMMIT_MAX_AGE_S="3600",
                    )
                )
            rates = [f"{case.name} {case.rounds[-1].rate:,.0f}" for case in (hot, half, whole)]
            print(f"round {number + 1}: {', '.join(rates)}", flush=True)
    command = f"make bench NAME=lake_path ARGS='--messages {chosen.messages}'"
    print(write(HERE, [hot, half, whole], hot.name, command))


if __name__ == "__main__":
    main()
