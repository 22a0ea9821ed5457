# ruff: noqa: INP001, T201 - a script of a pod: in no package, and what it prints is its log
"""Writes the canary volume anew, or checks one that was restored: `canary.py write|check DIR`."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

FILES, SIZE = 8, 1024 * 1024
SUMS = "SHA256SUMS"


def write(folder: Path) -> int:
    """New random files, and the list of their sums."""
    sums = []
    for number in range(FILES):
        content = os.urandom(SIZE)
        (folder / f"canary-{number}").write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()}  canary-{number}")
    (folder / SUMS).write_text("\n".join(sums) + "\n", encoding="utf-8")
    os.sync()
    print(f"wrote {FILES} files of {SIZE} bytes")
    return 0


def check(folder: Path) -> int:
    """1 when a file is missing or other than its sum says."""
    failed = 0
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    for line in lines:
        wanted, name = line.split("  ", 1)
        path = folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"
        if found != wanted:
            print(f"{name}: {found}, expected sha256 {wanted}", file=sys.stderr)
            failed = 1
    print(f"{len(lines)} files compared")
    return failed or int(len(lines) != FILES)


if __name__ == "__main__":
    raise SystemExit({"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2])))
