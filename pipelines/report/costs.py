"""What the units of a run cost the hot path, as numbers of its metadata."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.cost import Cost


def costs_of(costs: Sequence[Cost]) -> dict[str, int | float]:
    """Of several units: the first one's before, the worst during, the last one's after."""
    told = [cost.numbers() for cost in costs]
    found: dict[str, int | float] = {}
    for name in sorted({name for one in told for name in one}):
        values = [one[name] for one in told if name in one]
        when = name.rpartition("_")[2]
        chosen = {"before": values[0], "during": max(values), "after": values[-1]}
        found[name] = chosen.get(when, sum(values))
    return found
