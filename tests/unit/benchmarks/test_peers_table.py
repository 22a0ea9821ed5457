"""The table of the peers."""

from __future__ import annotations

import pytest

from benchmarks.backlog import Drain
from benchmarks.peers.table import ratio, table
from benchmarks.report import Case

FACTS = {
    "messages": 1_000,
    "date": "2026-01-01",
    "commit": "abc",
    "machine": "2 cores",
    "command": "make",
}


def case(name: str, *rates: float, **traits: str) -> Case:
    """A case with a round for each rate."""
    return Case(name, "", [Drain(1_000, 1_000 / rate, 0.005, 50.0) for rate in rates], traits)


def test_ratios_are_taken_round_by_round() -> None:
    """A machine that got slower in one round slows both: 2.0, 2.5 and 4.0, and not of medians."""
    ours, theirs = case("hot", 200, 100, 400), case("peer", 100, 25, 160)

    assert ratio(theirs, ours) == "2.50 x (2.00-4.00)"


def test_one_round_has_no_range() -> None:
    """There is nothing between least and most."""
    assert ratio(case("peer", 50), case("hot", 100)) == "2.00 x"


def test_each_case_stands_with_what_it_does_and_its_figures() -> None:
    """Traits have columns, the base has no ratio to itself."""
    cases = [case("hot", 300_000, stores="all"), case("peer", 100_000, stores="no")]

    lines = table(cases, "hot", FACTS).splitlines()

    assert "1,000 messages, 1 alternating rounds" in lines[0]
    assert lines[2] == "|  | stores | messages/s | hot is | CPU us/message | peak RSS |"
    assert lines[4] == "| hot | all | 300,000 |  | 5.00 | 50 MB |"
    assert lines[5] == "| peer | no | 100,000 | 3.00 x | 5.00 | 50 MB |"
    assert lines[3].count("|") == lines[2].count("|")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"absent": {"Bento": "there is no Go"}}, "Not measured: Bento: there is no Go."),
        ({"notes": {"rest": "The machine was at rest."}}, "The machine was at rest."),
        ({"packages": {"cli": "nats 1", "b": "b 2"}}, "cli: nats 1; b: b 2."),
    ],
)
def test_what_is_missing_and_what_ran_stands_below(more: dict[str, object], named: str) -> None:
    """A peer that is not there is named with the reason, versions and remarks follow."""
    assert named in table([case("hot", 1.0)], "hot", {**FACTS, **more}).splitlines()
