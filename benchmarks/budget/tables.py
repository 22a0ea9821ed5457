"""The benchmark's tables: JSON into results/, markdown into the README."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.budget.load import Stretch
from benchmarks.budget.phases import Phase
from benchmarks.report import BEGIN, END, machine

HERE = Path(__file__).parent


def write(facts: dict[str, Any], phases: Sequence[Phase]) -> str:
    """Stores the figures and puts the tables into the README; returns the tables."""
    when: datetime = facts["date"]
    about = {
        **facts,
        "date": when.isoformat(timespec="seconds"),
        "machine": machine(),
    }
    figures = [
        {
            "phase": one.name,
            "alone": one.alone.as_dict() if one.alone else None,
            "beside": one.beside.as_dict(),
            "work": one.work,
        }
        for one in phases
    ]
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    text = json.dumps({**about, "phases": figures}, indent=2)
    (results / f"{when:%Y-%m-%d}-{about['commit']}.json").write_text(text + "\n", encoding="utf-8")
    tables = _tables(about, phases)
    readme = HERE / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")
    return tables


def _tables(about: dict[str, Any], phases: Sequence[Phase]) -> str:
    origin = (
        f"Load {about['rate']:,.0f} messages/s, {about['share']:.0%} of the {about['maximum']:,.0f}"
        f" that went through in the same run; {about['minutes']:g} minutes a phase;"
        f" {about['date']}, commit {about['commit']}, {about['machine']}; `{about['command']}`"
    )
    return "\n\n".join([origin, _hot(phases), _compactions(phases), _reconciliations(phases)])


def _hot(phases: Iterable[Phase]) -> str:
    """The hot path in each phase, against the same load alone right before it."""
    rows = []
    for one in phases:
        base = one.alone or one.beside
        rows.append(
            [
                one.name,
                f"{one.beside.seconds:.0f} s",
                f"{one.beside.messages_per_s:,.0f}",
                f"{one.beside.messages_per_s / max(base.messages_per_s, 1):.1%}",
                _ms(one.beside.p50_s),
                _ms(one.beside.p99_s),
                _ratio(one.beside, base),
                f"{one.beside.cpu_s.get('trino', 0):.0f} s",
            ]
        )
    head = ["phase", "took", "messages/s", "x alone", "p50", "p99", "p99 x alone", "Trino CPU"]
    return _table(head, rows)


def _compactions(phases: Iterable[Phase]) -> str:
    rows = [
        [
            one.name,
            f"{one.work['files_before']:,} -> {one.work['files_after']:,}",
            f"{one.work['rows']:,}",
            f"{one.work['seconds']:.0f} s",
            f"{one.work['statements_s']:.0f} s / {one.work['trino_cpu_s']:.0f} s",
            f"{one.work['units']} / {one.work['stops']}",
            f"{one.work['scan_before_s']:.2f} s -> {one.work['scan_after_s']:.2f} s",
        ]
        for one in phases
        if "files_before" in one.work
    ]
    head = ["compaction", "files", "rows", "took", "statements / CPU", "units / stops", "day scan"]
    return _table(head, rows)


def _reconciliations(phases: Iterable[Phase]) -> str:
    rows = [
        [
            one.name,
            f"{one.work['rows']:,}",
            "yes" if one.work["equal"] else "no",
            f"{one.work['working_s']:.0f} s of {one.work['seconds']:.0f} s",
            f"{one.work['units']} / {one.work['stops']}",
            f"{one.work['cpu_s']:.0f} s / {one.work['trino_cpu_s']:.0f} s",
            f"{one.work['peak_rss_mb']} MB",
            ", ".join(
                f"{side} {rows:,} rows ({one.work['scanned_bytes'].get(side, 0) / 1e6:,.0f} MB)"
                for side, rows in one.work["scanned_rows"].items()
            ),
        ]
        for one in phases
        if "scanned_rows" in one.work
    ]
    head = ["reconciliation", "readings", "equal", "worked", "units / stops", "CPU / Trino"]
    return _table([*head, "peak RSS", "read, as the engines report it"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    line = "|---|" + "---:|" * (len(head) - 1)
    return "\n".join(
        ["| " + " | ".join(head) + " |", line, *("| " + " | ".join(r) + " |" for r in rows)]
    )


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"


def _ratio(found: Stretch, base: Stretch) -> str:
    return "-" if not found.p99_s or not base.p99_s else f"{found.p99_s / base.p99_s:.2f}"
