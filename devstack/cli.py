"""Command line of the embedded platform: `devstack up|down|status|env|logs`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

import click

from devstack.errors import DevstackError
from devstack.nats import change_mappings
from devstack.process import yield_cpu
from devstack.state import Holder, State, read_lock
from devstack.supervisor import DEFAULT, SERVICES, Devstack, place_of
from devstack.trino.cli import trino
from devstack.trino.progress import Progress
from devstack.trino.ready import make_ready

_POLL_S = 0.05
_START_MARGIN_S = 30.0
_STOP_TIMEOUT_S = 40.0
_NAMES = tuple(SERVICES)
# Maintenance of the lake may fill the machine, and must not cost the real-time path its CPU.
_YIELDING = {"trino"}

_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".devstack"),
    show_default=True,
    help="Folder that holds data, passwords, ports and logs.",
)
_output = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run NATS, S3 with an Iceberg catalog, ClickHouse and Trino on this machine, on 127.0.0.1.

    Exit codes: 0 done, 1 failed, 2 wrong usage.
    """


@main.command()
@_directory
@click.option("--detach", is_flag=True, help="Return when all services are up; end with `down`.")
@click.option(
    "--service",
    "services",
    multiple=True,
    type=click.Choice(_NAMES),
    default=DEFAULT,
    show_default="the first three",
    help="Start only this service; repeatable.",
)
@click.option(
    "--with",
    "added",
    multiple=True,
    type=click.Choice(_NAMES),
    help="Start this service as well; repeatable. Trino is fetched the first time (0.8 GB).",
)
@click.option("--ephemeral-ports", is_flag=True, help="Leave the standard ports alone.")
def up(
    directory: Path,
    *,
    detach: bool,
    services: tuple[str, ...],
    added: tuple[str, ...],
    ephemeral_ports: bool,
) -> None:
    """Start the platform and keep it until Ctrl-C.

    Standard ports (NATS 4222, S3 8333, catalog 8181, ClickHouse 8123, Trino 8443) are used when
    free, others when not; passwords are random. Clients find all of it in DIR/env.
    """
    try:
        services = _available(tuple(dict.fromkeys((*services, *added))))
        if detach:
            _up_detached(directory, services, ephemeral_ports=ephemeral_ports)
        else:
            _up(directory, services, ephemeral_ports=ephemeral_ports)
    except DevstackError as error:
        _fail(str(error))


@main.command()
@_directory
def down(directory: Path) -> None:
    """Stop the platform; data, passwords and ports are kept."""
    holder = read_lock(directory)
    if holder is None:
        click.echo(f"No devstack runs in {directory}.", err=True)
        return
    os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while read_lock(directory) is not None:
        if time.monotonic() > deadline:
            _fail(f"The devstack in {directory} (pid {holder.pid}) does not stop.")
        time.sleep(_POLL_S)
    click.echo(f"The devstack in {directory} is stopped.", err=True)


@main.command()
@_directory
@_output
def status(directory: Path, output: str) -> None:
    """Say which services run and where; exit 1 unless all are healthy."""
    holder, state = read_lock(directory), _state(directory)
    rows: dict[str, dict[str, object]] = {}
    for name in state.processes if holder else ():
        place = place_of(SERVICES[name], directory, state)
        healthy = SERVICES[name].is_healthy(place)
        rows[name] = {"healthy": healthy, "pid": state.processes[name][0], **place.ports}
    good = bool(rows) and all(row["healthy"] for row in rows.values())
    if output == "json":
        click.echo(json.dumps({"running": holder is not None, "healthy": good, "services": rows}))
    elif holder is None:
        click.echo(f"No devstack runs in {directory}.")
    else:
        for name, row in rows.items():
            details = "  ".join(f"{key} {value}" for key, value in row.items() if key != "healthy")
            click.echo(f"{name:12}{'healthy' if row['healthy'] else 'NOT HEALTHY':13}{details}")
    raise SystemExit(0 if good else 1)


@main.command()
@_directory
def env(directory: Path) -> None:
    """Print the settings of clients as shell exports: eval "$(devstack env)"."""
    path = directory / "env"
    if not path.exists():
        _fail(f"{path} does not exist; start the platform with `devstack up` first.")
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        click.echo(f"export {name}={shlex.quote(value)}")


@main.command()
@_directory
@click.argument("service", type=click.Choice(_NAMES), required=False)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Lines of each log.",
)
def logs(directory: Path, service: str | None, lines: int) -> None:
    """Print the end of the services' logs."""
    found = False
    for name in [service] if service else _NAMES:
        path = directory / "logs" / f"{name}.log"
        if not path.exists():
            continue
        found = True
        text = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in text[-lines:] if lines else []:
            click.echo(f"{name}: {line}")
    if not found:
        _fail(f"There are no logs in {directory / 'logs'}.")


@main.command("map")
@_directory
@click.argument("file", type=click.File())
def map_subjects(directory: Path, file: TextIO) -> None:
    """Give NATS the `mappings` block in FILE (- for stdin), which replaces the one before.

    A server that runs takes it at once. `ingest lanes` prints such a block; an empty file takes all
    mappings away.
    """
    text = file.read()
    place = place_of(SERVICES["nats"], directory, _state(directory))
    if not place.directory.is_dir():
        _fail(f"There is no NATS in {directory}; start the platform with `devstack up` first.")
    try:
        change_mappings(place, text, _pid_of("nats", directory))
    except DevstackError as error:
        _fail(str(error))
    click.echo("NATS maps subjects as the block says." if text.strip() else "NATS maps no subject.")


def _pid_of(name: str, directory: Path) -> int | None:
    """Process id of a service that runs."""
    processes = _state(directory).processes if read_lock(directory) else {}
    return processes[name][0] if name in processes else None


def _available(services: tuple[str, ...]) -> tuple[str, ...]:
    """The services that can start here; Trino is fetched, and left out when that fails."""
    if "trino" not in services:
        return services
    try:
        make_ready(Progress())
    except DevstackError as error:
        others = tuple(name for name in services if name != "trino")
        if not others:
            raise
        click.echo(f"devstack: goes on without Trino. {error}", err=True)
        return others
    return services


def _up(directory: Path, services: tuple[str, ...], *, ephemeral_ports: bool) -> None:
    """Run until a signal comes or a service dies."""
    stack = Devstack(directory, services, ephemeral_ports)

    def handle(_number: int, _frame: FrameType | None) -> None:
        stack.cancelled = True

    # Ctrl-C, SIGTERM and a closed terminal end the platform, also while it starts.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
    began = time.monotonic()
    try:
        stack.start()
        for name in set(services) & _YIELDING:
            yield_cpu(stack.pid(name))
        for leftover in stack.leftovers:
            click.echo(f"Ended a leftover of an earlier run: {leftover}.", err=True)
        _announce(stack.endpoints, directory, time.monotonic() - began)
        _watch(stack, services)
    except DevstackError:
        if not stack.cancelled:
            raise
    finally:
        stack.stop()


def _watch(stack: Devstack, services: tuple[str, ...]) -> None:
    """Wait for a signal; raises `DevstackError` when a service dies."""
    while not stack.cancelled:
        for name in services:
            if not stack.is_running(name):
                raise DevstackError(f"{name} died; its log is {stack.log(name)}.")
        time.sleep(_POLL_S)


def _announce(endpoints: dict[str, dict[str, str]], directory: Path, seconds: float) -> None:
    for name, addresses in endpoints.items():
        for label, address in addresses.items():
            click.echo(f"{name:12}{label:9}{address}")
    click.echo(f"Up in {seconds:.1f} s; settings for clients are in {directory / 'env'}.")


def _up_detached(directory: Path, services: tuple[str, ...], *, ephemeral_ports: bool) -> None:
    """Start `up` in a session of its own and wait until it says that all is up."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    arguments = [sys.executable, "-m", "devstack", "up", "--dir", str(directory.resolve())]
    for name in services:
        arguments += ["--service", name]
    if ephemeral_ports:
        arguments.append("--ephemeral-ports")
    here = str(Path(__file__).resolve().parent.parent)
    search = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    log = directory / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": search},
            start_new_session=True,
        )
    try:
        patience = max(SERVICES[name].healthy_within_s for name in services) + _START_MARGIN_S
        _await_ready(directory, process, log, patience)
    except BaseException:
        if process.poll() is None:
            process.terminate()
            process.wait()
        raise
    click.echo(log.read_text(encoding="utf-8"), nl=False)


def _await_ready(
    directory: Path, process: subprocess.Popen[bytes], log: Path, patience_s: float
) -> None:
    deadline = time.monotonic() + patience_s
    while not _is_ready(read_lock(directory), process.pid):
        if process.poll() is not None:
            lines = log.read_text(encoding="utf-8").strip().splitlines()
            said = lines[-1] if lines else "it said nothing"
            raise DevstackError(said.removeprefix("devstack: "))
        if time.monotonic() > deadline:
            raise DevstackError(f"The platform is not up after {patience_s:.0f} s.")
        time.sleep(_POLL_S)


def _is_ready(holder: Holder | None, pid: int) -> bool:
    return holder is not None and holder.pid == pid and holder.ready


main.add_command(trino)


def _state(directory: Path) -> State:
    try:
        return State.load(directory)
    except DevstackError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    click.echo(f"devstack: {text}", err=True)
    raise SystemExit(1)
