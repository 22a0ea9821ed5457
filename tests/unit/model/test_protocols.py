"""Both protocols in every state of the small worlds, and without each of their guards."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tests.model import documents, hot_state, lake_state
from tests.model.guards import REMOVALS, Removal
from tests.model.limits import LIMITS, Limit
from tests.model.scenarios import SMALL, WHOLE, Scenario, as_built, model_of
from tests.model.search import Search, told


@pytest.mark.parametrize("world", SMALL, ids=lambda world: world.name)
def test_the_promise_holds_in_every_state(world: Scenario) -> None:
    """Each message at most once, none skipped; and from everywhere the work can be ended."""
    search = Search(model_of(world.bounds, as_built(world.bounds)))
    outcome = search.run()
    assert outcome.holds, (outcome.broken, told(outcome.trace))
    assert outcome.at_rest, "the work never ends, so nothing was shown"
    stuck = search.stuck()
    assert stuck is None, told(stuck)


@pytest.mark.parametrize("name", ["hot-small", "lake-small"])
def test_overtaken_writers_change_nothing(name: str) -> None:
    """Followed until they stop, instead of taken as stopped: more states, and no other end."""
    (world,) = (world for world in SMALL if world.name == name)
    bounds = replace(world.bounds, messages=1)
    short = Search(model_of(bounds)).run()
    long = Search(model_of(replace(bounds, reduced=False))).run()
    assert short.holds
    assert long.holds
    assert long.states > short.states


@pytest.mark.parametrize("one", REMOVALS, ids=lambda one: one.name)
def test_without_a_guard(one: Removal) -> None:
    """The promise that it guards breaks; where none does, that is said."""
    outcome = one.search()
    assert outcome.broken.partition(":")[0] == one.breaks, told(outcome.trace)
    if one.breaks:
        assert outcome.trace
    else:
        assert outcome.holds
        assert one.why


@pytest.mark.parametrize("one", REMOVALS, ids=lambda one: one.name)
def test_with_the_guard_nothing_breaks_in_that_world(one: Removal) -> None:
    """It is the guard that the trace is about, not the world."""
    off = frozenset(one.also)
    outcome = Search(model_of(replace(one.bounds, reduced=True), off)).run()
    assert outcome.holds, (outcome.broken, told(outcome.trace))


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_the_limits_are_where_the_documents_say(limit: Limit) -> None:
    """A world that is said to break a promise does; once it holds, the document is out of date."""
    assert limit.search().broken.partition(":")[0] == limit.breaks


@pytest.mark.parametrize("name", documents.names())
def test_the_documents_hold_the_traces(name: str) -> None:
    """What stands in docs is what the search prints; `python -m tests.model --docs` writes it."""
    assert documents.path_of(name).read_text(encoding="utf-8") == documents.written(name)


@pytest.mark.parametrize(("path", "rules"), [("hot", hot_state.Rules), ("lake", lake_state.Rules)])
def test_every_guard_is_taken_away_once(path: str, rules: type) -> None:
    """A guard that nobody takes away is not known to guard anything."""
    taken = sorted(one.guard for one in REMOVALS if one.path == path)
    assert taken == sorted(field.name for field in fields(rules))


@pytest.mark.parametrize("one", REMOVALS, ids=lambda one: one.name)
def test_every_guard_says_what_it_is(one: Removal) -> None:
    """The sentence of the documents is the one beside the code."""
    assert one.meaning().endswith(".")


def test_names_of_worlds_are_their_own() -> None:
    """The command line chooses by name."""
    names = [world.name for world in (*WHOLE, *SMALL)]
    assert len(set(names)) == len(names)
