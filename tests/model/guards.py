"""The protocols' guards taken away one by one: what breaks, in the smallest world that shows it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tests.model import hot_state, lake_state
from tests.model.hot_state import Left as HotLeft
from tests.model.lake_state import Left as LakeLeft
from tests.model.scenarios import Bounds, model_of
from tests.model.search import Outcome, Search


@dataclass(frozen=True)
class Removal:
    """One guard taken away, and which promise breaks then; ``breaks`` is "" for none.

    ``adr`` is the record that the trace stands in. ``why`` tells what is behind a guard without
    which nothing breaks in the model.
    """

    path: str
    guard: str
    adr: str
    breaks: str
    bounds: Bounds
    why: str = ""
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As the command line takes it."""
        return f"{self.path}.{self.guard}"

    def meaning(self) -> str:
        """The guard's sentence in ``Rules``."""
        rules = hot_state.Rules if self.path == "hot" else lake_state.Rules
        return meanings(rules)[self.guard]

    def search(self, at_most: int = 3_000_000) -> Outcome:
        """Searches the world without the guard."""
        without = frozenset((self.guard, *self.also))
        return Search(model_of(self.bounds, without), at_most).run()


def meanings(rules: type) -> dict[str, str]:
    """Each guard's sentence, from the docstring of ``Rules``."""
    found: dict[str, str] = {}
    names = {one.name for one in fields(rules)}
    last = ""
    for line in (rules.__doc__ or "").splitlines():
        name, colon, rest = line.strip().partition(": ")
        if colon and name in names:
            last, found[name] = name, rest
        elif last and line.strip():
            found[last] += " " + line.strip()
    return found


def _hot(messages: int = 2, widest: int = 2, writers: int = 2, **left: int) -> hot_state.Bounds:
    return hot_state.Bounds(messages, widest, writers, (), HotLeft(**left), reduced=False)


def _lake(messages: int = 2, writers: int = 2, **left: int) -> lake_state.Bounds:
    return lake_state.Bounds(messages, writers, (), LakeLeft(**left), reduced=False)


REMOVALS = (
    Removal("hot", "fence", "0003", "doubled", _hot(2), also=("stock",)),
    Removal("hot", "token", "0003", "doubled", _hot(1, crashes=1, late=1)),
    Removal("hot", "pending", "0003", "doubled", _hot(2, crashes=1), also=("stock",)),
    Removal("hot", "keep", "0003", "doubled", _hot(2, crashes=1), also=("stock",)),
    Removal("hot", "one", "0003", "lost", _hot(2, 1, crashes=1)),
    Removal("hot", "look", "0003", "doubled", _hot(1, crashes=1, evictions=1)),
    Removal("hot", "wait", "0003", "doubled", _hot(1, crashes=1), also=("token",)),
    Removal("hot", "clock", "0003", "doubled", _hot(1, crashes=1), also=("token",)),
    Removal("hot", "deadline", "0003", "doubled", _hot(1, crashes=1), also=("token",)),
    Removal(
        "hot",
        "same",
        "0003",
        "doubled",
        hot_state.Bounds(2, 1, 1, (), HotLeft(crashes=1, rewrites=1), halts=False),
    ),
    Removal("hot", "count", "0003", "lost", _hot(1, crashes=1, drops=1)),
    Removal("hot", "stock", "0003", "lost", _hot(1, 1, 1, crashes=1, drops=1)),
    Removal("hot", "epoch", "0003", "lost", _hot(1, 1, 1, rewrites=1)),
    Removal(
        "hot",
        "confirm",
        "0003",
        "",
        _hot(1, rewrites=1),
        "whatever an overtaken writer reads, its first write to the entry fails; the look only"
        " makes it stop before it reads",
    ),
    Removal("hot", "history", "0005", "lost", _hot(1, 1, 1, rewrites=1)),
    Removal("hot", "settle", "0005", "doubled", _hot(2, 2, 1, rewrites=1)),
    Removal("hot", "rows", "0005", "lost", _hot(2, 1, 1, rewrites=1)),
    Removal("hot", "gap", "0003", "lost", _hot(2, 2, 1, frames=1)),
    Removal(
        "hot",
        "once",
        "0008",
        "doubled",
        hot_state.Bounds(1, 1, 1, (1,), HotLeft(crashes=1)),
    ),
    Removal(
        "hot",
        "letter",
        "0008",
        "lost",
        hot_state.Bounds(1, 1, 1, (1,), HotLeft(crashes=1)),
    ),
    Removal("lake", "requirement", "0004", "doubled", _lake(1)),
    Removal("lake", "watermark", "0004", "doubled", _lake(1)),
    Removal("lake", "exact", "0004", "doubled", _lake(2)),
    Removal("lake", "once", "0004", "doubled", _lake(1)),
    Removal(
        "lake",
        "append",
        "0004",
        "halted",
        lake_state.Bounds(2, 2, (1,), LakeLeft()),
    ),
    Removal("lake", "property", "0004", "halted", _lake(1, 1, optimizes=1, expires=1, crashes=1)),
    Removal("lake", "data", "0004", "lost", _lake(2, 1, crashes=1, backups=1, rollbacks=1)),
    Removal("lake", "base", "0004", "lost", _lake(3, 1, backups=1, rollbacks=1)),
    Removal(
        "lake",
        "commit",
        "0004",
        "",
        lake_state.Bounds(2, left=LakeLeft(crashes=1, optimizes=1, expires=1)),
        "a writer that does not know its own commit finds another watermark than it left, stops and"
        " is started again at the right place; with the id it goes on",
    ),
    Removal(
        "lake",
        "fence",
        "0004",
        "",
        _lake(1),
        "the catalog's compare-and-swap keeps rows single; the fence lets the writer that was"
        " overtaken lose instead of its successor",
    ),
    Removal("lake", "history", "0005", "lost", _lake(2, 1, rewrites=1)),
    Removal("lake", "spool", "0005", "lost", _lake(2, 1, rewrites=1)),
    Removal(
        "lake",
        "hot",
        "0005",
        "named",
        lake_state.Bounds(2, 1, (), LakeLeft(rewrites=1), with_hot=True, hot_leads=True),
    ),
    Removal("lake", "rows", "0005", "lost", _lake(2, 1, rewrites=1)),
    Removal(
        "lake",
        "ask",
        "0005",
        "",
        lake_state.Bounds(2, 1, (), LakeLeft(rewrites=1), with_hot=True, hot_leads=True),
        "what the hot path has on record is compared before the reader is opened, which tells as"
        " much; the question only narrows the limit `named-in-hand`, and serves contract"
        " versions",
    ),
    Removal("lake", "finish", "0005", "doubled", _lake(2, 1, rewrites=1)),
)


def removal(name: str) -> Removal:
    """The removal of a guard ``path.guard``, or of ``guard`` when one path alone has it."""
    found = [one for one in REMOVALS if name in (one.name, one.guard)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.name for one in found or REMOVALS)
    raise ValueError(f"{name!r} names {len(found)} guards; say one of {names}")
