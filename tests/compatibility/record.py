"""What was run, for the table of docs/compatibility.md: one entry a combination."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Entry:
    """One run; ``notes`` is what the doctor noted and how the proof read the lake."""

    server: str
    result: str
    date: str
    commit: str
    seconds: int
    notes: tuple[str, ...] = ()


def entries() -> dict[str, Entry]:
    """Every recorded run by the name of its combination."""
    if not RECORD.exists():
        return {}
    read = json.loads(RECORD.read_text(encoding="utf-8"))
    return {
        name: Entry(**{**entry, "notes": tuple(entry["notes"])}) for name, entry in read.items()
    }


def add(name: str, server: str, result: str, seconds: float, notes: tuple[str, ...]) -> None:
    """Replaces the combination's entry."""
    today = datetime.now(UTC).date().isoformat()
    entry = Entry(server, result, today, _commit(), round(seconds), notes)
    kept = {**entries(), name: entry}
    text = json.dumps({key: asdict(kept[key]) for key in sorted(kept)}, indent=2)
    RECORD.write_text(text + "\n", encoding="utf-8")


def _commit() -> str:
    """The newest commit that changed what is tested."""
    command = ["git", "log", "-1", "--format=%h", "--", "ingest", "simulator", "devstack"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
