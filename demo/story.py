"""The demonstration itself: platform, tables, a real series, a fleet, the proof, a few answers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from demo import queries
from demo.live import follow
from demo.processes import Command, Commands, StepFailedError
from demo.screen import Screen
from demo.watch import Watch
from devstack.errors import DevstackError
from devstack.supervisor import Devstack
from ingest import provision
from ingest.clickhouse_client import connect as connect_clickhouse
from ingest.contract import load_contract
from ingest.errors import IngestError
from ingest.settings import load_settings

FLEET = "readings"
SERIES = "history"
PLATFORM = ".devstack"
MANIFESTS = {FLEET: "fleet.json", SERIES: "series.json"}
DEVICES = 1_000
SECONDS_BETWEEN_READINGS = 60
BYTES_A_MESSAGE = 600

SETTINGS = """\
# Settings of the demonstration; its addresses and passwords are in .devstack/env.
[stream]
max_bytes = {max_bytes}
dlq_max_bytes = 268435456

[lake]
commit_max_age_s = 2.0

[http]
hot_port = 0
lake_port = 0
"""


def tell(screen: Screen, folder: Path, readings: int) -> bool:
    """Runs every phase in ``folder``; true when the proof held for both lanes.

    Raises KeyboardInterrupt as it comes; every process has ended by then.
    """
    try:
        with _own(folder), Commands(Path("logs")) as commands:
            stack = Devstack(Path(PLATFORM), ephemeral_ports=True)
            try:
                return _phases(screen, stack, commands, readings)
            finally:
                stack.stop()
    except (IngestError, DevstackError) as error:
        screen.note(f"failed: {error}", style="red")
        return False


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """An empty ``folder`` as the current one; raises StepFailedError while another run has it."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    with Path("lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StepFailedError(f"another demonstration runs in {folder}") from None
        for entry in Path().iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()
        yield


def _phases(screen: Screen, stack: Devstack, commands: Commands, readings: int) -> bool:
    with screen.phase("Platform") as phase:
        stack.start()
        phase.result = "NATS, S3 with an Iceberg catalog, ClickHouse, on 127.0.0.1"
    with screen.phase("Tables and writers") as phase:
        Path("iot.toml").write_text(
            SETTINGS.format(max_bytes=max(1 << 30, readings * BYTES_A_MESSAGE)), encoding="utf-8"
        )
        made = 0
        for contract in (SERIES, FLEET):
            steps = asyncio.run(provision.init(load_settings(contract=contract)))
            made += len(steps)
        writers = {name: _writers(commands, name) for name in (SERIES, FLEET)}
        phase.result = "streams, dead-letter queue, tables; 4 writers started"
    monitor = stack.endpoints["nats"]["monitor"]
    with screen.phase("A real series") as phase:
        watch = Watch("HISTORY", monitor, writers[SERIES])
        moment = follow(phase, watch, _replay(commands))
        phase.result = f"{moment.sent:,} hourly temperatures of Seattle, 2010, in both sinks"
    with screen.phase("A fleet") as phase:
        watch = Watch("READINGS", monitor, writers[FLEET])
        moment = follow(phase, watch, _fleet(commands, readings))
        phase.result = (
            f"{moment.sent:,} messages of {DEVICES:,} devices in both sinks,"
            f" {moment.refused:,} refused"
        )
    with screen.phase("Drain") as phase:
        _drain(writers)
        phase.result = "the writers have stored what they had read and ended"
    with screen.phase("Proof") as phase:
        proofs = {name: _verify(screen, commands, name) for name in (SERIES, FLEET)}
        for proof in proofs.values():
            proof.wait(ok=(0, 1))
        proven = all(proof.exit_code == 0 for proof in proofs.values())
        phase.result = "both lanes proven" if proven else "NOT PROVEN"
    for name, proof in proofs.items():
        screen.heading(f"$ ingest verify --contract {name} --manifest {MANIFESTS[name]}")
        screen.note(proof.output.rstrip())
    _ask(screen)
    return proven


def _writers(commands: Commands, contract: str) -> dict[str, Command]:
    return {
        title: commands.start(f"{path}-{contract}", "ingest", "run", path, "--contract", contract)
        for title, path in (("ClickHouse", "hot"), ("Iceberg", "lake"))
    }


def _replay(commands: Commands) -> Command:
    from simulator.replay import sample_options

    options = sample_options(subject_prefix=SERIES)
    arguments = [str(options.path), "--contract", SERIES, "--manifest", MANIFESTS[SERIES]]
    for name, column in options.columns.items():
        arguments += ["--map", f"{name}={column}"]
    for name, text in options.constants.items():
        arguments += ["--constant", f"{name}={text}"]
    arguments += ["--time-format", options.time_format, "--timezone", options.zone]
    return commands.start("sensor-sim-replay", "simulator", "replay", *arguments)


def _fleet(commands: Commands, readings: int) -> Command:
    arguments = ["--count", str(readings), "--devices", str(DEVICES)]
    arguments += ["--interval", str(SECONDS_BETWEEN_READINGS), "--manifest", MANIFESTS[FLEET]]
    arguments += ["--malformed", "0.5%", "--late", "2%", "--duplicates", "1%"]
    return commands.start("sensor-sim-run", "simulator", "run", *arguments)


def _drain(writers: dict[str, dict[str, Command]]) -> None:
    every = [command for pair in writers.values() for command in pair.values()]
    for command in every:
        command.drain()
    for command in every:
        command.wait()


def _verify(screen: Screen, commands: Commands, contract: str) -> Command:
    with suppress(OSError):
        os.environ["COLUMNS"] = str(screen.console.width)
    arguments = ["verify", "--contract", contract, "--manifest", MANIFESTS[contract]]
    return commands.start(f"verify-{contract}", "ingest", *arguments)


def _ask(screen: Screen) -> None:
    settings = load_settings()
    fleet, series = load_contract(FLEET), load_contract(SERIES)
    client = connect_clickhouse(settings.clickhouse)
    try:
        answers = (
            queries.latest(client, fleet),
            queries.rollup(client, fleet),
            queries.same_day(client, fleet, settings),
            queries.warmest(client, series),
        )
    finally:
        client.close()
    for answer in answers:
        screen.heading(answer.question)
        screen.note(answer.asked, style="dim")
        screen.table(answer.columns, answer.rows)
