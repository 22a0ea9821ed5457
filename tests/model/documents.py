"""What the search writes into the documents: traces, the guards, where steps are in the code."""

from __future__ import annotations

import re
from pathlib import Path

from tests.model import places
from tests.model.guards import REMOVALS, Removal
from tests.model.limits import LIMITS
from tests.model.search import Outcome, told

DOCS = Path(__file__).parents[2] / "docs"
BEGIN = "<!-- model: written by `python -m tests.model --docs` -->"
END = "<!-- /model -->"
MODEL = "model"
"""docs/model.md; the other documents are decision records, by number."""

SECTION = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)


def trace_lines(outcome: Outcome) -> list[str]:
    """The trace in a box; its last line says which promise breaks."""
    return ["```", *told(outcome.trace), f"=> {outcome.broken}", "```"]


def section_of_record(number: str) -> str:
    """Every guard of one record taken away."""
    lines = [
        "## Without it",
        "",
        "Each guard taken away in the [model](../model.md): the shortest way to break the promise.",
    ]
    for one in REMOVALS:
        if one.adr == number:
            lines += ["", *_without(one)]
    return "\n".join(lines)


def _without(one: Removal) -> list[str]:
    also = f" (shown without `{'`, `'.join(one.also)}` too)" if one.also else ""
    lines = [f"`{one.name}`{also}: {one.meaning()}", ""]
    return lines + (trace_lines(one.search()) if one.breaks else [f"Nothing breaks: {one.why}."])


def section_of_model() -> str:
    """Guards, limits, and where each step is in the code."""
    lines = ["## The guards", "", "| guard | what it says | without it | |", "|---|---|---|---|"]
    for one in REMOVALS:
        breaks = one.breaks or "nothing breaks"
        also = f" (with `{'`, `'.join(one.also)}` gone too)" if one.also else ""
        record = f"[ADR {int(one.adr)}](adr/{path_of(one.adr).name})"
        lines.append(f"| `{one.name}` | {one.meaning()} | {breaks}{also} | {record} |")
    lines += ["", "## Limits", "", "Worlds that break a promise, and are known to."]
    for limit in LIMITS:
        lines += ["", f"`{limit.name}`: {limit.says}", "", *trace_lines(limit.search())]
    lines += ["", "## Steps and code", "", places.table()]
    return "\n".join(lines)


def names() -> list[str]:
    """The documents that have such a section."""
    return [*sorted({one.adr for one in REMOVALS}), MODEL]


def path_of(name: str) -> Path:
    """The document's file."""
    if name == MODEL:
        return DOCS / "model.md"
    (found,) = (DOCS / "adr").glob(f"{name}-*.md")
    return found


def written(name: str) -> str:
    """The document with its section as it should be."""
    text = path_of(name).read_text(encoding="utf-8")
    body = section_of_model() if name == MODEL else section_of_record(name)
    made = f"{BEGIN}\n{body}\n{END}"
    if SECTION.search(text):
        return SECTION.sub(lambda _: made, text)
    return text.rstrip("\n") + "\n\n" + made + "\n"


def write_all() -> None:
    """Writes every document's section."""
    for name in names():
        path_of(name).write_text(written(name), encoding="utf-8")
