"""What is told of several lanes together: never better than the worst of them."""

from __future__ import annotations

from pipelines.defs.quality.sensors import Told, is_news
from pipelines.quality_lanes import together
from pipelines.quality_verdict import Verdict, unknown
from pipelines.watermarks import HOT, STREAM, Memory, Progress, Seen
from pipelines.watermarks_lanes import memory_for, memory_of
from pipelines.watermarks_lanes import together as parts_together

GREEN = Verdict("check", passed=True, text="fine", numbers={"proven_upto": 10})
RED = Verdict("check", passed=False, text="bad", headers=("what",), rows=[("this",)])


def part(position: int | None, lag: int = 0, *, moved: bool = False, name: str = HOT) -> Progress:
    """One lane's part, with figures of every kind."""
    figures: dict[str, int | float | str] = {"bytes": 7, "lag_messages": lag, "lag_s": float(lag)}
    figures |= {"parts": 3, "watermark": position or 0, "epoch": "e"}
    return Progress(name, position, "e", lag, figures, moved=moved)


def moved_together(*lanes: Progress) -> tuple[bool, int]:
    """Whether the part counts as moved, and its lag."""
    (found,) = parts_together({f"L{number}": [one] for number, one in enumerate(lanes)})
    return found.moved, found.lag_messages


def test_one_lane_is_told_as_it_is() -> None:
    """Nothing is said of lanes where there is one."""
    assert together({"L": RED}) is RED
    one = part(5)
    assert parts_together({"L": [one]}) == [one]


def test_a_red_lane_makes_the_check_red_and_is_named() -> None:
    """The sentence is that of the red lane; the other's is left out."""
    found = together({"L": GREEN, "L_1": RED})
    assert (found.passed, found.known, found.text) == (False, True, "L_1: bad")
    assert (found.headers, found.rows) == (("lane", "what"), [("L_1", "this")])
    assert found.numbers == {"proven_upto/L": 10}


def test_a_lane_that_cannot_be_asked_leaves_the_check_unknown() -> None:
    """An unknown lane is never green."""
    found = together({"L": GREEN, "L_1": unknown("check", "away")})
    assert (found.passed, found.known) == (False, False)
    assert together({"L": GREEN, "L_1": GREEN}).text == "L: fine; L_1: fine"


def test_the_proof_of_any_lane_is_news() -> None:
    """A verdict on the proof is told again when one lane's proof went on."""
    further = Verdict("check", passed=True, text="fine", numbers={"proven_upto": 11})
    before = Told.of(together({"L": GREEN, "L_1": GREEN}), 0)
    assert not is_news(together({"L": GREEN, "L_1": GREEN}), before, 1, 600)
    assert is_news(together({"L": GREEN, "L_1": further}), before, 1, 600)


def test_a_part_moves_unless_a_lane_of_it_stands_still() -> None:
    """A lane that is up to date holds nothing up; one with unread messages, or unknown, does."""
    assert moved_together(part(5, moved=True), part(9)) == (True, 0)
    assert moved_together(part(5, 3, moved=True), part(9, 2, moved=True)) == (True, 5)
    assert moved_together(part(5, moved=True), part(9, 2)) == (False, 2)
    assert moved_together(part(5, moved=True), part(None)) == (False, 0)


def test_figures_are_sums_the_worst_or_the_tables() -> None:
    """Each lane's own stand beside them under its name; the table's are told once."""
    (found,) = parts_together({"L": [part(5, 2)], "L_1": [part(9, 3)]})
    assert found.position == 14
    assert {name: found.figures[name] for name in ("lag_messages", "lag_s", "bytes", "parts")} == {
        "lag_messages": 5,
        "lag_s": 3.0,
        "bytes": 7,
        "parts": 3,
    }
    assert (found.figures["watermark/L"], found.figures["watermark/L_1"]) == (5, 9)
    assert "watermark" not in found.figures
    (stream,) = parts_together({"L": [part(5, name=STREAM)], "L_1": [part(9, name=STREAM)]})
    assert stream.figures["bytes"] == 14


def test_a_contract_that_gets_more_lanes_keeps_its_memory() -> None:
    """The first lane is remembered as if it were alone, the others under their names."""
    first: Memory = {HOT: Seen(5, "e", 1.0, 1.0)}
    other: Memory = {HOT: Seen(9, "e", 1.0, 1.0)}
    memory = memory_for(first, "L", "L") | memory_for(other, "L_1", "L")
    assert memory_of(memory, "L", "L") == memory_of(first, "L", "L") == first
    assert memory_of(memory, "L_1", "L") == other
    assert memory_of(memory, "L_2", "L") == {}
