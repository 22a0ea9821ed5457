"""What the protocols do not survive: worlds known to break a promise, with their traces."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model import hot_state, lake_state
from tests.model.hot_state import Left as HotLeft
from tests.model.lake_state import Left as LakeLeft
from tests.model.scenarios import Bounds, as_built, model_of
from tests.model.search import Outcome, Search


@dataclass(frozen=True)
class Limit:
    """A world with more in it than the protocol is made for; ``says`` what, and what helps."""

    name: str
    bounds: Bounds
    breaks: str
    says: str
    without: frozenset[str] = frozenset()

    def search(self) -> Outcome:
        """Searches the world up to the first promise that breaks."""
        return Search(
            model_of(self.bounds, as_built(self.bounds) | self.without), at_most=3_000_000
        ).run()


LIMITS = (
    Limit(
        "late-and-rewritten",
        hot_state.Bounds(2, 2, 1, (), HotLeft(rewrites=1, late=1), halts=False),
        "doubled",
        "An insert lands after its deadline (held up by the network, or its process stopped after"
        " it had looked at the clock), and the stream loses its tail before the range is stored"
        " again. The token does not help, because the messages that are left are cut otherwise.",
    ),
    Limit(
        "swallowed",
        hot_state.Bounds(1, 1, 1, (), HotLeft(crashes=1, backups=1, kept_restores=1, drops=1)),
        "lost",
        "The key-value bucket is put back to an older copy and rows are deleted besides, with their"
        " tokens left: the range is inserted for the first time by its record, under a token that"
        " outlived its rows. Rows are counted after a repeated insert only.",
    ),
    Limit(
        "halted",
        hot_state.Bounds(3, 2, 1, (2,), HotLeft(crashes=1, rewrites=1)),
        "halted",
        "After a rewrite, old messages below the new history are read again and recorded under the"
        " old epoch, of which the lost tail left rows above them. A writer that starts at that"
        " moment takes these for a restored entry and ends with exit 3. No row is lost or doubled.",
    ),
    Limit(
        "alarm",
        hot_state.Bounds(1, 1, 2, (), HotLeft(), strict=True, reduced=False),
        "alarmed",
        "A writer that takes over, is overtaken at once, and looks at the table after its"
        " successor has stored rows, takes these for a restored entry: it ends with exit 3 and"
        " the advice to repair, where exit 4 would be right. No row is lost or doubled by it.",
    ),
    Limit(
        "named-ahead",
        lake_state.Bounds(1, 1, (), LakeLeft(rewrites=1), with_hot=True),
        "named",
        "A lake that is ahead of the hot path sees a rewrite that the hot path cannot know of, for"
        " that one compares what it has read itself; it files new messages under the old epoch"
        " until the lake has registered the new one. Each row is there once.",
    ),
    Limit(
        "named-in-hand",
        lake_state.Bounds(
            2, 1, (), LakeLeft(rewrites=1), with_hot=True, in_hand=True, hot_leads=True
        ),
        "named",
        "The stream loses messages that the hot path has in hand and not on record. A lake that"
        " opens before it records them cannot know, and files the new messages under the old"
        " epoch, while the hot path registers a new one. Each row is there once; `ingest verify`"
        " finds the two names.",
    ),
)
