"""The table of the peers: what each does with a message, and its figures beside ours."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from benchmarks.report import Case, Facts, origin


def table(cases: list[Case], base: str, facts: Facts) -> str:
    """One line a case, with the columns of its traits; below it what is missing and why.

    ``facts`` may have ``packages`` (what each case runs), ``absent`` (case and reason) and
    ``notes``.
    """
    reference = next(case for case in cases if case.name == base)
    traits = list(reference.traits)
    head = ["", *traits, "messages/s", f"{base} is", "CPU us/message", "peak RSS"]
    lines = [
        origin(facts, len(reference.rounds)),
        "",
        "| " + " | ".join(head) + " |",
        "|---" * (1 + len(traits)) + "|---:" * 4 + "|",
        *(_line(case, reference) for case in cases),
    ]
    packages = _mapping(facts, "packages")
    if packages:
        lines += ["", "; ".join(f"{name}: {what}" for name, what in packages.items()) + "."]
    lines += [f"\nNot measured: {name}: {why}." for name, why in _mapping(facts, "absent").items()]
    lines += [f"\n{note}" for note in _mapping(facts, "notes").values()]
    return "\n".join(lines)


def ratio(case: Case, reference: Case) -> str:
    """How many times as fast the reference is: median, least and most of the rounds."""
    found = reference.ratios(case)
    middle = statistics.median(found)
    if len(found) == 1:
        return f"{middle:.2f} x"
    return f"{middle:.2f} x ({found[0]:.2f}-{found[-1]:.2f})"


def _line(case: Case, reference: Case) -> str:
    cells = [
        case.name,
        *case.traits.values(),
        f"{case.rate:,.0f}",
        "" if case is reference else ratio(case, reference),
        f"{case.median(lambda one: one.cpu_us):.2f}",
        f"{case.median(lambda one: one.peak_rss_mb):.0f} MB",
    ]
    return "| " + " | ".join(cells) + " |"


def _mapping(facts: Facts, name: str) -> Mapping[str, str]:
    found = facts.get(name, {})
    assert isinstance(found, Mapping)
    return found
