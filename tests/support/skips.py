"""The list of tests that may be skipped in CI."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def allowed_skips(root: Path) -> frozenset[tuple[str, str]]:
    """(test id, reason) pairs of tests/allowed_skips.txt, one a line as ``id: reason``."""
    lines = (root / "tests" / "allowed_skips.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(": ", 1) for line in lines if line and not line.startswith("#"))
    return frozenset((name, reason) for name, reason in pairs)
