"""The benchmark's table: JSON into results/, markdown into the README."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import BEGIN, END

HERE = Path(__file__).parent
HEAD = ("", "readings", "took", "us a reading", "CPU", "of NATS / ClickHouse / Trino")
TAIL = ("peak RSS", "rows that the engines read")


def write(facts: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]) -> str:
    """Stores the figures and puts the table into the README; returns the table."""
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    text = json.dumps({**facts, "cases": list(cases)}, indent=2)
    name = f"{facts['date'][:10]}-{facts['commit']}.json"
    (results / name).write_text(text + "\n", encoding="utf-8")
    origin = f"{facts['date']}, commit {facts['commit']}, {facts['machine']}; `{facts['command']}`"
    table = f"{origin}\n\n{_table(cases)}"
    readme = HERE / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return table


def _table(cases: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| " + " | ".join((*HEAD, *TAIL)) + " |", "|---|" + "---:|" * 7]
    for one in cases:
        engines = one["engines_cpu_s"]
        cells = [
            one["case"],
            f"{one['rows']:,}{'' if one['equal'] else ' NOT EQUAL'}",
            f"{one['seconds']:.0f} s",
            f"{one['seconds'] / one['rows'] * 1e6:.1f}",
            f"{one['cpu_s']:.0f} s",
            " / ".join(f"{engines[name]:.0f} s" for name in ("nats", "clickhouse", "trino")),
            f"{one['peak_rss_mb']} MB",
            ", ".join(f"{side} {rows:,}" for side, rows in one["scanned_rows"].items()),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
