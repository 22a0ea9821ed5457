"""How the cost of a message changes with their number. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def marginal_us(messages: int, cpu_s: float, least: int, least_cpu_s: float) -> float:
    """CPU microseconds of each message beyond the first ``least``, which pay for the start."""
    if messages <= least:
        raise ValueError(f"found {messages} messages, expected more than the first {least}")
    return (cpu_s - least_cpu_s) / (messages - least) * 1e6


def slope_percent(counts: Sequence[int], costs: Sequence[float]) -> float:
    """Change of the cost with each factor of ten in the count, in percent of the mean cost.

    The slope of a straight line through the costs over the logarithm of the counts (least squares).
    """
    if len(set(counts)) < 2:
        raise ValueError(f"found {len(set(counts))} different counts, expected two at least")
    slope, _ = np.polyfit(np.log10(np.array(counts, float)), np.array(costs, float), 1)
    return float(slope) / float(np.mean(costs)) * 100
