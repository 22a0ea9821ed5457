"""Fails when a message costs clearly more CPU than the stored figure says."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cpu.measuring import PER_MESSAGES, Measured, measure, together
from benchmarks.cpu.work import Work

EXPECTED = Path(__file__).parent / "expected.json"
MESSAGES, ROUNDS, PROCESSES = 5_000, 60, 5
BOUND = 1.35


@dataclass(frozen=True)
class Expected:
    """The stored figure: cost of 10,000 messages in loops of the calibration, and its origin."""

    cost: float
    bound: float
    us_per_message: float
    date: str
    commit: str
    machine: str

    @classmethod
    def load(cls, file: Path) -> Expected:
        """What is stored."""
        return cls(**json.loads(file.read_text(encoding="utf-8")))

    def save(self, file: Path) -> None:
        """Stores it."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Verdict:
    """Whether the cost is within its bound, and a sentence about it."""

    passed: bool
    text: str


def judge(found: Measured, expected: Expected) -> Verdict:
    """Holds a measurement against the stored figure."""
    ratio = found.cost / expected.cost
    figures = (
        f"{PER_MESSAGES:,} messages cost {found.cost:.2f} calibration loops"
        f" ({found.us:.2f} us a message), {ratio:.2f} times the {expected.cost:.2f} recorded at"
        f" {expected.commit} ({expected.date[:10]}, {expected.machine})"
    )
    again = "make bench-check ARGS=--record"
    if ratio > expected.bound:
        return Verdict(
            passed=False,
            text=f"{figures}; the bound is {expected.bound:g}. Reader, decoder or columns have"
            f" become slower: look at the newest changes of ingest/ with a profile. If it is the"
            f" price of something wanted, record the new figure: `{again}`",
        )
    if ratio < 1 / expected.bound:
        return Verdict(
            passed=True,
            text=f"{figures}. That is so much faster that the stored figure guards nothing any"
            f" more; record the new one: `{again}`",
        )
    return Verdict(passed=True, text=f"{figures}; the bound is {expected.bound:g}")


def main() -> int:
    """Measures, then checks or records; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="store the figure as expected")
    parser.add_argument("--once", action="store_true", help="print one process's rounds as JSON")
    chosen = parser.parse_args()
    work = Work(MESSAGES)
    done = work.do()
    if done.rows != MESSAGES or done.refused:
        print(
            f"bench-check: {MESSAGES:,} messages became {done.rows:,} rows and {done.refused:,}"
            " refused; every one must be a row, or the figure means nothing",
            file=sys.stderr,
        )
        return 1
    if chosen.once:
        print(json.dumps(asdict(measure(work.do, MESSAGES, ROUNDS))))
        return 0
    found = together([in_a_process() for _ in range(PROCESSES)])
    if chosen.record:
        record(found).save(EXPECTED)
        print(f"bench-check: recorded {found.cost:.2f} ({found.us:.2f} us a message)")
        return 0
    verdict = judge(found, Expected.load(EXPECTED))
    print(f"bench-check: {verdict.text}", file=sys.stdout if verdict.passed else sys.stderr)
    return 0 if verdict.passed else 1


def in_a_process() -> Measured:
    """The rounds of a process of its own: where its memory happens to lie is part of the noise."""
    command = [sys.executable, "-m", "benchmarks.cpu.check", "--once"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(done.stdout))


def record(found: Measured) -> Expected:
    """The measurement as the figure to be held against from now on."""
    # Only here: they look at Git, which a check needs not.
    from benchmarks.report import commit, machine

    return Expected(
        cost=round(found.cost, 3),
        bound=BOUND,
        us_per_message=round(found.us, 3),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit(),
        machine=f"{machine()}, {platform.machine()}",
    )


if __name__ == "__main__":
    sys.exit(main())
