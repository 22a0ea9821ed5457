"""What chaos tests do to processes, and what must hold when they are done."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from tests.support.lane import TestLane, Writer
from tests.support.waiting import until


def rows(first: int, last: int) -> list[tuple[int, int]]:
    """(_seq, _idx) of one-row messages ``first`` to ``last``."""
    return [(sequence, 0) for sequence in range(first, last + 1)]


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process hangs in SIGSTOP."""
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] == "T"


def wait_stopped(writer: Writer) -> None:
    """Waits until the writer has stopped itself at its fault point."""
    until(
        lambda: writer.process.poll() is not None or is_stopped(writer.process),
        "the writer at its fault point",
    )
    assert writer.process.poll() is None, writer.log.read_text(encoding="utf-8")


def go_on(writer: Writer) -> None:
    """Lets a stopped process run again."""
    writer.process.send_signal(signal.SIGCONT)


def wait_said(writer: Writer, event: str, timeout_s: float = 30.0) -> None:
    """Waits for a log line of that event; fails when the process ends before."""
    until(lambda: writer.said(event) or writer.process.poll() is not None, event, timeout_s)
    assert writer.said(event), writer.log.read_text(encoding="utf-8")[-3000:]


def ended(writer: Writer, timeout_s: float = 40.0) -> tuple[int, str]:
    """Exit code and the sentence with which the writer stopped."""
    code = writer.wait(timeout_s)
    said = writer.said("stopped")
    return code, said[-1]["problem"] if said else ""


def expect_verified(lane: TestLane, *, unproven: bool = False) -> None:
    """`ingest verify` finds stream, ClickHouse, rollup, Iceberg and DLQ equal.

    ``unproven`` allows sequences that nobody but the two equal sinks can vouch for any more.
    """
    done = lane.ingest("verify", "--output", "json", check=False)
    report = json.loads(done.stdout)
    found = {one["problem"] for one in report["findings"]}
    assert found <= ({"unproven"} if unproven else set()), report["findings"]
