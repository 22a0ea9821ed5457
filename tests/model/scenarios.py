"""The worlds that are searched: how large, and which misfortunes come in each.

All of them together with every kind of misfortune would be too many states; what the promise
depends on is spread over several worlds, each searched to its end.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.model import hot_state, lake_state
from tests.model.hot import HotModel
from tests.model.lake import LakeModel
from tests.model.search import Model

Bounds = hot_state.Bounds | lake_state.Bounds
Rules = hot_state.Rules | lake_state.Rules
HotLeft = hot_state.Left
LakeLeft = lake_state.Left


@dataclass(frozen=True)
class Scenario:
    """One world of one protocol; ``says`` what comes over it."""

    name: str
    bounds: Bounds
    says: str

    @property
    def path(self) -> str:
        """Which protocol: hot or lake."""
        return "hot" if isinstance(self.bounds, hot_state.Bounds) else "lake"


def model_of(bounds: Bounds, without: frozenset[str] = frozenset()) -> Model[object]:
    """The model of that world's protocol, without some of its guards."""
    off = dict.fromkeys(without, False)
    if isinstance(bounds, hot_state.Bounds):
        return HotModel(hot_state.Rules(**off), bounds)  # type: ignore[return-value]
    return LakeModel(lake_state.Rules(**off), bounds)  # type: ignore[return-value]


def as_built(bounds: Bounds) -> frozenset[str]:
    """The guards of that protocol that the product lacks."""
    return hot_state.AS_BUILT if isinstance(bounds, hot_state.Bounds) else frozenset()


WHOLE = (
    Scenario(
        "hot",
        hot_state.Bounds(left=HotLeft(crashes=2, rewrites=1)),
        "2 crashes, 1 rewrite, any insert late within its deadline, any answer lost",
    ),
    Scenario(
        "hot-refused",
        hot_state.Bounds(refused=(2,), left=HotLeft(crashes=1, rewrites=1), halts=False),
        "the second message is refused; 1 crash, 1 rewrite; alarms not judged (limit `halted`)",
    ),
    Scenario(
        "hot-window",
        hot_state.Bounds(left=HotLeft(crashes=2, evictions=1, frames=1)),
        "2 crashes, tokens pushed out of the window, 1 frame lost",
    ),
    Scenario(
        "hot-late",
        hot_state.Bounds(left=HotLeft(crashes=2, late=1)),
        "2 crashes, 1 insert that lands after its deadline",
    ),
    Scenario(
        "hot-restored",
        hot_state.Bounds(left=HotLeft(crashes=2, backups=1, restores=1, kept_restores=1)),
        "2 crashes; the table, the key-value bucket or both put back to an older copy",
    ),
    Scenario(
        "hot-dropped",
        hot_state.Bounds(left=HotLeft(crashes=2, drops=1)),
        "2 crashes; all rows deleted, their tokens left",
    ),
    Scenario(
        "lake",
        lake_state.Bounds(left=LakeLeft(crashes=2, rewrites=1)),
        "2 crashes, 1 rewrite, any commit late, any answer lost or wrong",
    ),
    Scenario(
        "lake-maintained",
        lake_state.Bounds(refused=(2,), left=LakeLeft(crashes=2, optimizes=1, expires=1)),
        "the second message is refused; 2 crashes, a compaction and an expiry in between",
    ),
    Scenario(
        "lake-named",
        lake_state.Bounds(
            messages=2, left=LakeLeft(crashes=1, rewrites=1), with_hot=True, hot_leads=True
        ),
        "2 ranges, 1 crash, 1 rewrite, with the hot path reading the same stream ahead of it",
    ),
    Scenario(
        "lake-restored",
        lake_state.Bounds(messages=2, left=LakeLeft(crashes=1, backups=1, rollbacks=1, restores=1)),
        "2 ranges, 1 crash, the table rolled back, the catalog put back to an older copy",
    ),
)
"""What ``make model`` searches."""

SMALL = (
    Scenario(
        "hot-small",
        hot_state.Bounds(messages=2, widest=2, left=HotLeft(crashes=1)),
        "2 ranges, 1 crash",
    ),
    Scenario(
        "hot-rewritten-small",
        hot_state.Bounds(messages=2, widest=1, writers=1, left=HotLeft(crashes=1, rewrites=1)),
        "2 ranges, 1 writer at a time, 1 crash, 1 rewrite",
    ),
    Scenario(
        "hot-refused-small",
        hot_state.Bounds(messages=2, refused=(2,), writers=1, left=HotLeft(crashes=2, rewrites=1)),
        "the same with a refused message and 2 crashes",
    ),
    Scenario(
        "hot-restored-small",
        hot_state.Bounds(
            messages=2,
            widest=1,
            writers=1,
            left=HotLeft(crashes=1, backups=1, restores=1, kept_restores=1),
        ),
        "2 ranges, 1 writer at a time, 1 crash, older copies put back",
    ),
    Scenario(
        "hot-dropped-small",
        hot_state.Bounds(messages=2, widest=1, writers=1, left=HotLeft(crashes=2, drops=1)),
        "2 ranges, 1 writer at a time, 2 crashes, all rows deleted",
    ),
    Scenario(
        "lake-small",
        lake_state.Bounds(messages=2, left=LakeLeft(crashes=1)),
        "2 ranges, 1 crash",
    ),
    Scenario(
        "lake-rewritten-small",
        lake_state.Bounds(messages=2, writers=1, left=LakeLeft(crashes=1, rewrites=1)),
        "2 ranges, 1 writer at a time, 1 crash, 1 rewrite",
    ),
    Scenario(
        "lake-maintained-small",
        lake_state.Bounds(
            messages=2, refused=(2,), writers=1, left=LakeLeft(crashes=1, optimizes=1, expires=1)
        ),
        "2 ranges, 1 writer at a time, a refused message, a compaction and an expiry",
    ),
)
"""What the tests search, for progress too: from every state the work can be brought to its end."""
