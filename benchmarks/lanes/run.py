"""Drains the same readings from one lane and from two, round by round, all servers counted."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.backlog import Drain
from benchmarks.idle import await_rest
from benchmarks.lanes.draining import Lanes, LanesDrain
from benchmarks.report import Case, Facts, origin, write
from devstack.supervisor import Devstack

HERE = Path(__file__).parent


def main() -> None:
    """Runs the benchmark and writes its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    one = Case("one lane", "one stream, one writer", [])
    two = Case("two lanes", "two streams, two writers, the same table", [])
    with (
        tempfile.TemporaryDirectory() as name,
        Devstack(Path(name) / "devstack", ephemeral_ports=True) as stack,
    ):
        lanes = {
            case.name: Lanes(stack, Path(name), chosen.messages, count)
            for case, count in ((one, 1), (two, 2))
        }
        spread = {name: backlog.fill() for name, backlog in lanes.items()}
        print(f"messages by lane: {spread}", flush=True)
        for number in range(chosen.rounds):
            for case in (one, two):
                await_rest()
                case.rounds.append(lanes[case.name].drain())
            rates = [f"{case.name} {case.rounds[-1].rate:,.0f}" for case in (one, two)]
            print(f"round {number + 1}: {', '.join(rates)}", flush=True)
        sizes = lanes[two.name].sizes()
    command = f"make bench NAME=lanes ARGS='--messages {chosen.messages} --rounds {chosen.rounds}'"
    more = {"messages_by_lane": spread[two.name], "bytes_a_reading": sizes}
    print(write(HERE, [one, two], one.name, command, table=table, more=more))


def table(cases: list[Case], base: str, facts: Facts) -> str:
    """Rates, and whose CPU they took."""
    reference = next(case for case in cases if case.name == base)
    head = f"| | does | messages/s | x {base} | CPU us/message: writers | NATS | ClickHouse |"
    lines = [
        origin(facts, len(reference.rounds)),
        "",
        f"{head} cores busy | RSS of the writers |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        used = [
            f"{case.median(_us(part)):.2f}"
            for part in ("writers_cpu_s", "nats_cpu_s", "clickhouse_cpu_s")
        ]
        lines.append(
            f"| {case.name} | {case.does} | {case.rate:,.0f}"
            f" | {statistics.median(case.ratios(reference)):.2f} | {' | '.join(used)}"
            f" | {case.median(lambda one: one.cpu_seconds / one.seconds):.2f}"
            f" | {case.median(lambda one: one.peak_rss_mb):.0f} MB |"
        )
    sizes = facts["bytes_a_reading"]
    assert isinstance(sizes, dict)
    told = f"{sizes['stream']:.0f} in the stream, {sizes['clickhouse']:.1f} in ClickHouse"
    spread = facts["messages_by_lane"]
    lines += ["", f"Bytes a reading: {told}. Messages of the two lanes: {spread}."]
    return "\n".join(lines)


def _us(part: str) -> Callable[[Drain], float]:
    def figure(drain: Drain) -> float:
        assert isinstance(drain, LanesDrain)
        return float(getattr(drain, part)) / drain.messages * 1e6

    return figure


if __name__ == "__main__":
    main()
