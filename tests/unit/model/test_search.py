"""The search itself: it visits everything, finds the shortest way, and sees what is stuck."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.search import Search, Step, told

Place = tuple[int, int]


class Jugs:
    """Two jugs of 3 and 5 litres; ``goal`` litres in the larger one is what must not be."""

    def __init__(self, goal: int, *, drain: bool = True) -> None:
        self._goal = goal
        self._drain = drain

    def initial(self) -> Place:
        """Both are empty."""
        return 0, 0

    def steps(self, state: Place) -> Iterator[Step[Place]]:
        """Fill, empty, pour."""
        small, large = state
        yield (0, "fills the small one"), (3, large)
        yield (1, "fills the large one"), (small, 5)
        if self._drain:
            yield (0, "empties the small one"), (0, large)
            yield (1, "empties the large one"), (small, 0)
        poured = min(small, 5 - large)
        yield (0, "pours {} litres over", poured), (small - poured, large + poured)
        poured = min(large, 3 - small)
        yield (1, "pours {} litres back", poured), (small + poured, large - poured)

    def canonical(self, state: Place) -> Place:
        """Every state stands for itself."""
        return state

    def order(self, state: Place) -> list[int]:
        """The jugs keep their names."""
        return [0, 1]

    def broken(self, state: Place) -> str:
        """The goal is what must not be reached."""
        return "reached" if state[1] == self._goal else ""

    def at_rest(self, state: Place) -> bool:
        """Empty jugs are the end of the work."""
        return state == (0, 0)


def test_the_first_violation_is_a_shortest_one() -> None:
    """Four litres take six steps, whoever pours; the trace replays them."""
    outcome = Search(Jugs(4)).run()
    assert (outcome.broken, outcome.depth, len(outcome.trace)) == ("reached", 6, 6)
    assert told(outcome.trace)[0] == "A fills the large one"


def test_every_state_is_visited_once() -> None:
    """With 3 and 5 litres the 16 states on the rim can be reached, and no other."""
    outcome = Search(Jugs(9)).run()
    assert outcome.holds
    assert outcome.states == 16
    assert outcome.at_rest == 1


def test_a_bound_is_told_from_the_end() -> None:
    """A search that was cut short does not claim that anything holds."""
    outcome = Search(Jugs(9), at_most=5).run()
    assert not outcome.complete
    assert not outcome.holds


def test_states_from_which_no_end_can_be_reached_are_found() -> None:
    """Without a drain the jugs are never empty again."""
    fine, stuck = Search(Jugs(9)), Search(Jugs(9, drain=False))
    assert fine.run().holds
    assert fine.stuck() is None
    assert stuck.run().holds
    assert stuck.stuck() == [(0, "fills the small one")]
