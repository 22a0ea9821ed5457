"""What one check found: holds or not, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Verdict:
    """``text`` is one sentence, for a red one with what, where and since when.

    ``numbers`` hold what was found and what is allowed; ``rows`` are more, under ``headers``.
    ``known`` is False when the check could not be evaluated, which is never green.
    """

    check: str
    passed: bool
    text: str
    numbers: Mapping[str, int | float] = field(default_factory=dict)
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()
    known: bool = True


def unknown(check: str, why: str) -> Verdict:
    """The check could not be evaluated."""
    return Verdict(check, passed=False, text=f"could not be evaluated: {why}", known=False)
