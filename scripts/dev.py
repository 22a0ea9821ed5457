"""`make dev`: the embedded platform with Trino, and Dagster over it, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click

from devstack.errors import DevstackError
from devstack.ports import PortWish, choose
from devstack.process import BEHIND_HOT_PATH, Child, yield_cpu
from devstack.service import Launch
from devstack.supervisor import DEFAULT, Devstack
from devstack.trino.progress import Progress
from devstack.trino.ready import make_ready
from ingest.errors import IngestError
from ingest.provision import init
from ingest.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / ".devstack"
HOME = ROOT / "dagster_home"
SERVES_WITHIN_S = 120.0
GRACE_S = 20.0
POLL_S = 0.1
NEXT = """
Next, in other terminals of this folder:
  .venv/bin/ingest run all                     the writers
  .venv/bin/sensor-sim run --rate 200          a fleet that publishes 200 messages a second
Ctrl-C ends Dagster and the platform; data and history stay in .devstack and dagster_home.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trino/--no-trino", default=True, show_default=True, help="Start Trino as well.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Dagster's port."
)
def main(*, trino: bool, port: int) -> None:
    """Run the embedded platform and Dagster on this machine, all on 127.0.0.1, until Ctrl-C.

    Another port is taken when Dagster's is in use. Exit codes: 0 ended by a signal, 1 failed,
    2 wrong usage.
    """
    try:
        _Session(trino=trino, port=port).run()
    except (DevstackError, IngestError) as error:
        click.echo(f"dev: {error}", err=True)
        raise SystemExit(1) from error


class _Session:
    """The platform and Dagster, ended by the first signal."""

    def __init__(self, *, trino: bool, port: int) -> None:
        self._services = (*DEFAULT, *_trino_if_ready()) if trino else DEFAULT
        self._stack = Devstack(DIRECTORY, self._services)
        self._port = port
        self._dagster: Child | None = None

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._cancel)
        try:
            self._start()
            while not self._stack.cancelled:
                self._require_alive()
                time.sleep(POLL_S)
        except DevstackError:
            if not self._stack.cancelled:
                raise
        finally:
            self._stop()

    def _start(self) -> None:
        began = time.monotonic()
        self._stack.start()
        asyncio.run(init(load_settings(ROOT)))
        address = self._start_dagster()
        for name, addresses in self._stack.endpoints.items():
            for label, endpoint in addresses.items():
                click.echo(f"{name:12}{label:9}{endpoint}")
        click.echo(f"{'dagster':12}{'web':9}{address}")
        click.echo(f"Up in {time.monotonic() - began:.0f} s.\n{NEXT}")

    def _start_dagster(self) -> str:
        ports = choose({"web": PortWish(self._port)}, remembered={}, taken=set(), ephemeral=False)
        address = f"http://127.0.0.1:{ports['web']}"
        arguments = ["-m", "dagster", "dev", "--port", str(ports["web"]), "--log-level", "warning"]
        environment = {"DAGSTER_HOME": str(HOME), "PYTHONWARNINGS": "ignore"}
        os.chdir(ROOT)
        self._dagster = Child(
            Launch([sys.executable, *arguments], environment), self._stack.log("dagster")
        )
        # Maintenance runs in its processes, beside the hot path on this machine; so does its page.
        yield_cpu(self._dagster.pid, BEHIND_HOT_PATH)
        deadline = time.monotonic() + SERVES_WITHIN_S
        while not _serves(address):
            self._require_alive()
            if self._stack.cancelled:
                raise DevstackError("The start was cancelled.")
            if time.monotonic() > deadline:
                log = self._stack.log("dagster")
                raise DevstackError(f"Dagster does not answer at {address}; its log is {log}.")
            time.sleep(POLL_S)
        return address

    def _require_alive(self) -> None:
        if self._dagster is not None and self._dagster.exit_code is not None:
            log = self._stack.log("dagster")
            raise DevstackError(f"Dagster ended by itself; its log is {log}.")
        for name in self._services:
            if not self._stack.is_running(name):
                raise DevstackError(f"{name} died; its log is {self._stack.log(name)}.")

    def _cancel(self, _number: int, _frame: FrameType | None) -> None:
        self._stack.cancelled = True

    def _stop(self) -> None:
        if self._dagster is not None and self._dagster.exit_code is None:
            # It ends its own processes on an interrupt, not on SIGTERM.
            self._dagster.signal(signal.SIGINT)
            deadline = time.monotonic() + GRACE_S
            while self._dagster.exit_code is None and time.monotonic() < deadline:
                time.sleep(POLL_S)
        if self._dagster is not None:
            self._dagster.kill()
        self._stack.stop()


def _trino_if_ready() -> tuple[str, ...]:
    """Fetches Trino when it is not there; the rest works without it."""
    try:
        make_ready(Progress())
    except DevstackError as error:
        click.echo(f"dev: going on without Trino: {error}", err=True)
        return ()
    return ("trino",)


def _serves(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{address}/server_info", timeout=2):  # noqa: S310
        return True
    return False


if __name__ == "__main__":
    main()
