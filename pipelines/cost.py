"""What a unit of maintenance cost: the hot path before, during and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipelines.ages import merged
from pipelines.budget import Sample

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The hot path over a stretch of ``seconds``; None where nothing was measured."""

    seconds: float
    messages_per_s: float | None
    p50_s: float | None
    p99_s: float | None
    lag_max_s: float | None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """``seconds`` is the unit's own time, ``waited_s`` the wait for the budget before it.

    ``broken`` is the reason for which the unit was asked to stop, though it came to its end.
    """

    work: str
    seconds: float
    waited_s: float
    before: Figures
    during: Figures
    after: Figures
    broken: str | None = None

    def numbers(self) -> dict[str, float]:
        """Flat figures for materialisation metadata (``hot_p99_s_during``, ...)."""
        flat = {"seconds": self.seconds, "waited_s": self.waited_s}
        for when, figures in self.by_stretch().items():
            for name in ("messages_per_s", "p50_s", "p99_s", "lag_max_s"):
                value = getattr(figures, name)
                if value is not None:
                    flat[f"hot_{name}_{when}"] = value
        return flat

    def by_stretch(self) -> dict[str, Figures]:
        """Figures by ``before``, ``during`` and ``after``."""
        return {"before": self.before, "during": self.during, "after": self.after}


@dataclass(frozen=True)
class Guarded(Generic[Result]):
    """The unit's result and its cost."""

    result: Result
    cost: Cost


def numbers_of(samples: Sequence[Sample], baseline_s: float | None) -> dict[str, float]:
    """The newest sample's figures by name (``hot_lag_s``, ``hot_p99_s``, ...), those it holds."""
    newest = samples[-1]
    found: dict[str, float | None] = {"hot_baseline_p99_s": baseline_s, "cpu_busy": newest.busy}
    for path, sample in (("hot", newest.hot), ("lake", newest.lake)):
        if sample is not None:
            found |= {
                f"{path}_lag_s": sample.lag_s,
                f"{path}_lag_messages": float(sample.lag_messages),
                f"{path}_stored_per_s": sample.stored_per_s,
                f"{path}_arrived_per_s": sample.arrived_per_s,
                f"{path}_p99_s": sample.ages.quantile(0.99) if sample.ages else None,
                f"{path}_insert_s": sample.insert_s,
            }
    return {name: value for name, value in found.items() if value is not None}


def figures(samples: Sequence[Sample]) -> Figures:
    """Figures over consecutive samples."""
    hot = [one.hot for one in samples if one.hot is not None]
    ages = merged(one.ages for one in hot if one.ages)
    rates = [one.stored_per_s for one in hot if one.stored_per_s is not None]
    return Figures(
        seconds=samples[-1].at_s - samples[0].at_s if samples else 0.0,
        messages_per_s=sum(rates) / len(rates) if rates else None,
        p50_s=ages.quantile(0.5) if ages else None,
        p99_s=ages.quantile(0.99) if ages else None,
        lag_max_s=max((one.lag_s for one in hot), default=None),
    )
