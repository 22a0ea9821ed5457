# ruff: noqa: INP001, T201 - a script of a pod: in no package, and what it prints is its log
"""Compares the restored streams with what the backup says that they held."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BACKUP, RESTORED = Path("/scratch/backup"), Path("/scratch/restored")
PARTS = ("messages", "first_seq", "last_seq")


def state(path: Path) -> dict[str, Any]:
    """Messages, first and last sequence of a stream, as one of the two files tells them."""
    content = json.loads(path.read_text(encoding="utf-8"))["state"]
    return {part: content.get(part) for part in PARTS}


def expires(path: Path) -> bool:
    """Whether entries of the stream vanish by age: then fewer may come back."""
    return bool(json.loads(path.read_text(encoding="utf-8"))["config"].get("max_age"))


def main() -> int:
    """1 when a stream came back otherwise than it was copied, or when there is none."""
    failed, folders = 0, sorted(path for path in BACKUP.iterdir() if path.is_dir())
    if not folders:
        print("the backup holds no stream, expected at least READINGS", file=sys.stderr)
        return 1
    for folder in folders:
        copied = state(folder / "backup.json")
        restored = state(RESTORED / f"{folder.name}.json")
        # What ran out by age since the copy was made is dropped at the restore.
        parts = ("last_seq",) if expires(folder / "backup.json") else PARTS
        if any(copied[part] != restored[part] for part in parts):
            print(f"{folder.name}: restored {restored}, expected {copied}", file=sys.stderr)
            failed = 1
        else:
            print(f"{folder.name}: {restored}")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
