"""The share of a limit that a path reaches."""

from __future__ import annotations

import pytest

from benchmarks.backlog import Drain
from benchmarks.limits.tables import SERVERS, Round, share


def rounds(*seconds: float) -> list[Round]:
    """Rounds that took so long for a hundred messages each."""
    idle = dict.fromkeys(SERVERS, 0.0)
    return [Round(Drain(100, took, 1.0, 1.0), idle) for took in seconds]


def test_a_share_is_the_median_of_the_rounds_own_shares() -> None:
    """The machine's speed drifts from round to round; a ratio within one does not."""
    path, limit = rounds(2.0, 20.0, 4.0), rounds(1.0, 10.0, 1.0)
    assert share(path, limit) == pytest.approx(0.5)


def test_rounds_that_do_not_pair_are_an_error() -> None:
    """A share of another round's limit would mean nothing."""
    with pytest.raises(ValueError, match="zip"):
        share(rounds(1.0, 2.0), rounds(1.0))
