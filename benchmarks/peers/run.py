"""Drains one stream by the hot path and by other clients, round by round."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.backlog import Backlog, Drain, backlog
from benchmarks.idle import PATIENCE_S, Rest, await_rest
from benchmarks.peers.cases import OURS, PEERS, Peer, traits
from benchmarks.peers.installed import PeerMissingError, folder_of, wanted
from benchmarks.peers.measure import FigureRefusedError, measured
from benchmarks.peers.table import table
from benchmarks.report import Case, write
from devstack.nats import NO_MAPPINGS, USER, change_mappings
from devstack.state import State
from devstack.supervisor import SERVICES, Devstack, place_of

HERE = Path(__file__).parent
BASE = "hot"
ROUNDS, MESSAGES = 5, 1_000_000
# The slowest peer by far has read 20,000 messages a second on a busy machine.
SLOWEST_RATE, START_S = 5_000, 60.0

Measure = Callable[[], Drain]


@dataclass
class Run:
    """The cases with what measures each; which are absent and why; how the machine was."""

    cases: dict[str, tuple[Case, Measure]] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    rests: list[Rest] = field(default_factory=list)

    def add(self, name: str, does: dict[str, str], measure: Measure) -> None:
        """Adds a case without figures."""
        self.cases[name] = (Case(name, "", [], does, ours=does is OURS), measure)

    def round(self, number: int, patience_s: float) -> None:
        """Measures every case once; each round starts with another one."""
        names = list(self.cases)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            case, measure = self.cases[name]
            self.rests.append(await_rest(patience_s))
            try:
                case.rounds.append(measure())
            except FigureRefusedError as error:
                self.absent[name] = f"refused, {error}"
                del self.cases[name]
                print(f"{name}: {self.absent[name]}", flush=True)
            else:
                _tell(number, case)

    def facts(self) -> dict[str, object]:
        """For the results and for the lines below the table."""
        restless = [rest for rest in self.rests if not rest.found]
        others = max(one.others_cores for case, _ in self.cases.values() for one in case.rounds)
        rest = (
            f"The machine was not at rest before {len(restless)} of {len(self.rests)} measurements"
            if restless
            else "The machine was at rest before each measurement"
        )
        during = f"{rest}; during one, other processes used at most {others:.2f} cores."
        return {"packages": self.packages, "absent": self.absent, "notes": {"rest": during}}


def main() -> None:
    """Runs the benchmark and writes its table."""
    chosen = _arguments()
    with (
        tempfile.TemporaryDirectory(prefix="peers-") as name,
        backlog(Path(name), chosen.messages) as stream,
    ):
        run = prepare(stream, Path(name), set(chosen.only or ()))
        for number in range(chosen.rounds):
            run.round(number, chosen.patience)
    cases = [case for case, _ in run.cases.values()]
    base = BASE if BASE in run.cases else cases[0].name
    command = f"make bench NAME=peers ARGS='--messages {chosen.messages} --rounds {chosen.rounds}'"
    if chosen.only:
        # A part of the table must not take the place of the whole.
        facts = {"messages": chosen.messages, "date": "", "commit": "", "machine": ""}
        print(table(cases, base, {**facts, "command": command, **run.facts()}))
    else:
        print(write(HERE, cases, base, command, table=table, more=run.facts()))


def prepare(stream: Backlog, folder: Path, only: set[str]) -> Run:
    """The cases that can be measured, over streams that are filled here."""
    ids = "hot, message ids"
    names = [BASE, ids, *(peer.name for peer in PEERS), "nats-py fetch"]
    if unknown := only - set(names):
        raise SystemExit(f"--only {', '.join(unknown)}: no such case; there are {', '.join(names)}")
    let_in_without_password(stream.stack)
    run = Run()
    rate = stream.fill()
    print(f"published {rate:,.0f} messages/s, each acknowledged", flush=True)
    run.add(BASE, OURS, lambda: stream.drain("hot"))
    if not only or ids in only:
        beside = stream.another("readings_ids")
        rate = beside.fill(message_ids=True)
        print(f"published {rate:,.0f} messages/s with message ids", flush=True)
        run.add(ids, OURS, lambda: beside.drain("hot"))
    for peer in PEERS:
        if not only or peer.name in only:
            _add_peer(run, peer, stream, folder)
    run.add(
        "nats-py fetch", traits("no", "no", "last of each fetch", "nothing to keep"), stream.fetch
    )
    for name in [name for name in run.cases if only and name not in only]:
        del run.cases[name]
    return run


def let_in_without_password(stack: Devstack) -> None:
    """Takes clients that bring no password for the platform's own user.

    The Rust client of Pathway and natsrpy drops what stands in the URL (nats.rs issue 1623, open in
    2026-11), and Pathway takes none elsewhere. A server learns it at its start only.
    """
    place = place_of(SERVICES["nats"], stack.directory, State.load(stack.directory))
    change_mappings(place, f"{NO_MAPPINGS}no_auth_user: {USER}\n", None)
    stack.kill("nats")
    stack.start_service("nats")


def _add_peer(run: Run, peer: Peer, stream: Backlog, folder: Path) -> None:
    package = wanted()[peer.package]
    try:
        program = folder_of(package)
    except PeerMissingError as error:
        run.absent[peer.name] = str(error)
        print(f"{peer.name}: {error}", flush=True)
        return
    run.packages[peer.package] = package.text
    home = folder / peer.package
    home.mkdir(exist_ok=True)
    patience_s = START_S + stream.messages / SLOWEST_RATE
    run.add(peer.name, dict(peer.traits), lambda: measured(stream, peer, program, home, patience_s))


def _tell(number: int, case: Case) -> None:
    last = case.rounds[-1]
    print(
        f"round {number + 1}: {case.name} {last.rate:,.0f} messages/s, {last.cpu_us:.2f} us,"
        f" {last.peak_rss_mb:.0f} MB; others {last.others_cores:.2f} cores",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", action="append", metavar="NAME", help="may be given again")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_S, help="longest wait for rest, seconds"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
