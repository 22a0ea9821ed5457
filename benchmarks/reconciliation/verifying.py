"""`ingest verify --full` of the archive, with its time, CPU and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.budget.archive import Archive, outside


def verified(archive: Archive) -> dict[str, Any]:
    """Figures of one run, whose lake side ClickHouse reads; it must be proven."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest", "verify", "--full", "--no-ledger", "--output", "json"],
        cwd=archive.folder,
        env={**outside(), **archive.env},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    report = json.loads(told)
    assert report["proven"], report["verdict"]
    return {
        "seconds": round(seconds, 1),
        "rows": report["rows"],
        "equal": report["proven"],
        "units": 1,
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_rss_mb": round(usage.ru_maxrss / 1024),
        "scanned_rows": {side: one["rows"] for side, one in report["scanned"].items()},
        "scanned_bytes": {side: one["bytes"] for side, one in report["scanned"].items()},
    }
