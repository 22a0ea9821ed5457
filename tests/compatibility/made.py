"""Servers in certain versions, as scripts/compatibility_servers.sh makes them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "compatibility_servers.sh"


@cache
def made(*what: str) -> str:
    """The path of ``what`` (``"nats", "2.10.27"``), which is made on its first use."""
    done = subprocess.run([SCRIPT, *what], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(what)} cannot be had: {done.stderr[-2000:]}"
    return done.stdout.strip()
