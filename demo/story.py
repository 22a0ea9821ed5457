"""The demonstration itself: platform, tables, a real series, a fleet, the proof, a few answers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo import queries
from demo.live import follow
from demo.processes import Command, Commands, StepFailedError
from demo.proof import prove, show
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
MANIFESTS = {SERIES: "series.json", FLEET: "fleet.json"}
"""What was sent, by contract."""
DEVICES = 1_000
SECONDS_BETWEEN_READINGS = 60
BYTES_A_MESSAGE = 600

SETTINGS = """\
# Settings of the demonstration; its addresses and passwords are in .devstack/env.
[stream]
max_bytes = {max_bytes}
dlq_max_bytes = 268435456

[lake]
commit_max_age_s = 1.0

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
                proven = _phases(screen, stack, commands, readings)
            finally:
                stack.stop()
    except (IngestError, DevstackError) as error:
        screen.note(f"failed: {error}", style="red")
        return False
    _say_goodbye(screen, folder)
    return proven


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
    screen.note("Sensors to ClickHouse and Iceberg, exactly once, on this machine.")
    screen.note(f"Data, settings and logs are in {Path.cwd()}\n", style="dim")
    with screen.phase("platform", "starting NATS, S3, the Iceberg catalog and ClickHouse") as phase:
        stack.start()
        phase.result = "NATS, S3, the Iceberg catalog and ClickHouse are up"
    with screen.phase("tables", "making streams and tables") as phase:
        writers = _make_tables(commands, readings)
        phase.result = "streams, dead-letter queue and tables made; 4 writers started"
    monitor = stack.endpoints["nats"]["monitor"]
    with screen.phase("series", "sending hourly temperatures of Seattle") as phase:
        moment = follow(phase, Watch("HISTORY", monitor, writers[SERIES]), _replay(commands))
        phase.result = f"{moment.sent:,} temperatures of Seattle, 2010, in both sinks"
    with screen.phase("fleet", f"sending {readings:,} readings of {DEVICES:,} devices") as phase:
        watch = Watch("READINGS", monitor, writers[FLEET])
        moment = follow(phase, watch, _fleet(commands, readings))
        phase.result = f"{moment.sent:,} messages in both sinks, {moment.refused:,} of them refused"
    with screen.phase("drain", "the writers store what they have read") as phase:
        _drain(writers)
        phase.result = "the writers have stored what they had read and ended"
    with screen.phase("proof", "comparing what was sent with every sink") as phase:
        proofs = prove(commands, MANIFESTS)
        proven = all(proof.holds for proof in proofs)
        phase.result = "every sink holds what was sent, once" if proven else "NOT PROVEN"
    for proof in proofs:
        if proof.contract == FLEET or not proof.holds:
            show(screen, proof)
    _ask(screen)
    return proven


def _make_tables(commands: Commands, readings: int) -> dict[str, dict[str, Command]]:
    max_bytes = max(1 << 30, readings * BYTES_A_MESSAGE)
    Path("iot.toml").write_text(SETTINGS.format(max_bytes=max_bytes), encoding="utf-8")
    for contract in MANIFESTS:
        asyncio.run(provision.init(load_settings(contract=contract)))
    return {contract: _writers(commands, contract) for contract in MANIFESTS}


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


def _say_goodbye(screen: Screen, folder: Path) -> None:
    screen.heading(f"Done in {screen.seconds:.0f} s; nothing is left running.")
    screen.pairs(
        [
            (f"cd {folder} && ../.venv/bin/devstack up", "the same platform and data again"),
            ("../.venv/bin/ingest status", "in a second shell: positions, lag"),
            ("../.venv/bin/ingest explain 4711", "one message's whole story"),
            ("../.venv/bin/ingest dlq list", "what was refused, and why"),
            ("README.md, docs/", "your own sensors and servers"),
        ],
    )
