"""Searches every state of both protocols' models: ``make model``.

Exit 0: all hold (or, with --without, the promise breaks as it should); 1 otherwise.
"""

from __future__ import annotations

import argparse
import resource
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.model import documents
from tests.model.guards import REMOVALS, removal
from tests.model.scenarios import SMALL, WHOLE, Scenario, as_built, model_of
from tests.model.search import Outcome, Search, told

HEADER = f"{'world':<22} {'states':>11} {'transitions':>12} {'depth':>6} {'seconds':>8} {'MB':>6}"


def main() -> int:
    """Reads the command line and prints what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--small", action="store_true", help="the forms that the tests search")
    parser.add_argument("--world", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side (default 2)")
    parser.add_argument("--without", metavar="GUARD", help="take a guard away and print the trace")
    parser.add_argument("--guards", action="store_true", help="list the guards")
    parser.add_argument("--docs", action="store_true", help="write traces and tables into docs/")
    given = parser.parse_args()
    if given.guards:
        for one in REMOVALS:
            say(f"{one.name:<18} {one.meaning()}")
        return 0
    if given.docs:
        documents.write_all()
        return 0
    if given.without:
        return without(given.without)
    every = (*WHOLE, *SMALL)
    if unknown := set(given.world) - {one.name for one in every}:
        parser.error(f"no world {', '.join(unknown)}: {', '.join(one.name for one in every)}")
    worlds = [one for one in every if one.name in given.world]
    return search_all(worlds or list(SMALL if given.small else WHOLE), given.workers)


def search_all(worlds: list[Scenario], workers: int) -> int:
    """Searches the worlds, a process each, and prints one line for each."""
    say(HEADER)
    failed = 0
    with ProcessPoolExecutor(workers, max_tasks_per_child=1) as pool:
        for one, (outcome, megabytes) in zip(worlds, pool.map(search_one, worlds), strict=True):
            failed += not outcome.holds
            say(
                f"{one.name:<22} {outcome.states:>11,} {outcome.transitions:>12,}"
                f" {outcome.depth:>6} {outcome.seconds:>8.1f} {megabytes:>6}"
                f" {'holds' if outcome.holds else outcome.broken or 'NOT FINISHED'}: {one.says}"
            )
            for line in told(outcome.trace):
                say("    " + line)
    say(f"{len(worlds) - failed} of {len(worlds)} worlds hold")
    return 1 if failed else 0


def search_one(world: Scenario) -> tuple[Outcome, int]:
    """The search's outcome, and the memory that it took at most (MB)."""
    outcome = Search(model_of(world.bounds, as_built(world.bounds))).run()
    return outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def without(name: str) -> int:
    """Prints what breaks without the guard."""
    try:
        one = removal(name)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    outcome = one.search()
    say(f"without {one.name}: {one.meaning()}")
    for line in told(outcome.trace):
        say("    " + line)
    if outcome.broken:
        say(f"=> {outcome.broken} ({outcome.states:,} states)")
    else:
        say(f"nothing breaks ({outcome.states:,} states): {one.why}")
    return 0 if outcome.broken.partition(":")[0] == one.breaks else 1


def say(line: str) -> None:
    """One line to the standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
