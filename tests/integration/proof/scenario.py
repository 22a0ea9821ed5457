"""Messages of a lane whose outcome is known, and `ingest verify` over it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.support.lane import TestLane, reading

MESSAGES = 300
MALFORMED = {50: b"not json", 51: b"", 200: b'{"device_id": 7}'}
"""Payloads that must be refused, by sequence."""


def payloads(count: int = MESSAGES) -> list[bytes]:
    """Readings with refused messages between them; sequence 100 carries three rows."""
    sent = [reading(number) for number in range(1, count + 1)]
    for sequence, payload in MALFORMED.items():
        sent[sequence - 1] = payload
    rows = [json.loads(reading(1000 + number)) for number in range(3)]
    sent[99] = json.dumps(rows).encode()
    return sent


def store(lane: TestLane, upto: int) -> None:
    """Runs both paths until they have stored ``upto``, then drains them."""
    writers = [lane.start("hot"), lane.start("lake")]
    lane.wait_hot(upto)
    lane.wait_lake(upto)
    assert [writer.drain() for writer in writers] == [0, 0]


def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Exit code and parsed JSON of a command."""
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report | {"exit_code": done.returncode}


def verify(lane: TestLane, *arguments: str) -> dict[str, Any]:
    """Report of `ingest verify --output json` with its exit code."""
    return outcome(lane.ingest("verify", "--output", "json", *arguments, check=False))


def found(report: dict[str, Any]) -> set[tuple[str, str, tuple[int, ...]]]:
    """(side, problem, sequences) of every finding."""
    return {
        (
            one["side"],
            one["problem"],
            tuple(n for first, last in one["sequences"] for n in range(first, last + 1)),
        )
        for one in report["findings"]
    }
