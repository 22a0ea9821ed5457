"""Starts, watches and stops the platform's services in one folder."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from devstack import clickhouse_server, ports
from devstack.clickhouse_server import ClickHouse
from devstack.errors import DevstackError
from devstack.last_words import is_clash, last_words
from devstack.nats import Nats
from devstack.process import Child, created, kill_leftover
from devstack.seaweedfs import SeaweedFS
from devstack.service import Place, Service, write_private
from devstack.state import DirectoryLock, State
from devstack.trino.server import Trino

_ALL: tuple[Service, ...] = (Nats(), SeaweedFS(), ClickHouse(), Trino())
SERVICES: dict[str, Service] = {service.name: service for service in _ALL}
"""Every service that can be asked for, by name."""
DEFAULT = ("nats", "seaweedfs", "clickhouse")
"""What starts when nobody asks for more."""

_POLL_S = 0.02
_ATTEMPTS = 3


class Devstack:
    """The platform in `directory`: data, passwords and ports are kept there between runs.

    With `ephemeral_ports` the standard ports are left alone, for several at once. As a context
    manager it starts on entry and stops on exit. Children die with this process, however it dies.
    """

    def __init__(
        self,
        directory: Path,
        services: Iterable[str] = DEFAULT,
        ephemeral_ports: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.directory = directory.resolve()
        self._services = [_service(name) for name in services]
        self._ephemeral = ephemeral_ports
        self._lock = DirectoryLock(self.directory)
        self._state = State()
        self._children: dict[str, Child] = {}
        self._log_starts: dict[str, int] = {}
        self.leftovers: list[str] = []
        self.cancelled = False
        """Set it, in a signal handler for instance, to make a `start` under way give up."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """The IOT_* settings of the running services."""
        settings: dict[str, str] = {}
        for service in self._services:
            settings |= service.environment(self._place(service))
        return settings

    @property
    def endpoints(self) -> dict[str, dict[str, str]]:
        """Addresses to open, by service and label; they hold no secrets."""
        return {service.name: service.endpoints(self._place(service)) for service in self._services}

    def clickhouse_url(self, role: str) -> str:
        """The URL for the ClickHouse user `admin`, `writer` or `reader`."""
        return clickhouse_server.url(self._place(SERVICES["clickhouse"]), role)

    def start(self) -> None:
        """Start all services and wait until each is healthy.

        Raises `DevstackError` when the folder is in use or a service does not come up; nothing is
        left running then.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock.acquire()
        try:
            self._state = State.load(self.directory)
            self._kill_leftovers()
            self._start_all()
            text = "".join(f"{name}={value}\n" for name, value in self.env.items())
            write_private(self.directory / "env", text)
            self._lock.mark(ready=True)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all services, politely, at the same time; data stays."""
        children, self._children = self._children, {}
        if children:
            with ThreadPoolExecutor(len(children)) as pool:
                list(pool.map(lambda name: children[name].stop(SERVICES[name].grace_s), children))
            self._state.processes.clear()
            self._state.save(self.directory)
        self._lock.release()

    def start_service(self, name: str) -> None:
        """Start a service that was killed, on the same ports and data, and wait for it."""
        if self.is_running(name):
            raise DevstackError(f"{name} is running already.")
        service = self._known(name)
        self._launch(service)
        for why in self._await_health([service]).values():
            raise DevstackError(why)

    def kill(self, name: str) -> None:
        """Kill a service as a crash would (SIGKILL) and wait until it is gone."""
        self._child(name).kill()

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a service; SIGSTOP makes it hang, SIGCONT lets it go on."""
        self._child(name).signal(number)

    def pid(self, name: str) -> int:
        """The process id of a service."""
        return self._child(name).pid

    def is_running(self, name: str) -> bool:
        """Whether the process of a service exists."""
        return name in self._children and self._children[name].exit_code is None

    def log(self, name: str) -> Path:
        """The log file of a service."""
        return self.directory / "logs" / f"{name}.log"

    def _known(self, name: str) -> Service:
        for service in self._services:
            if service.name == name:
                return service
        raise DevstackError(f"{name} is not one of this devstack's services.")

    def _child(self, name: str) -> Child:
        if name not in self._children:
            raise DevstackError(f"{name} has not been started.")
        return self._children[name]

    def _place(self, service: Service) -> Place:
        return place_of(service, self.directory, self._state)

    def _kill_leftovers(self) -> None:
        """End processes that a supervisor left behind which could not take them along."""
        for name, (pid, started) in self._state.processes.items():
            if kill_leftover(pid, started):
                self.leftovers.append(f"{name} (pid {pid})")
        self._state.processes.clear()

    def _start_all(self) -> None:
        waiting = self._services
        for attempt in range(1, _ATTEMPTS + 1):
            self._choose_ports(waiting)
            for service in waiting:
                self._launch(service)
            failures = self._await_health(waiting)
            if not failures:
                return
            # Between the look for a free port and its use, another program can take it.
            clashed = [name for name, why in failures.items() if is_clash(why)]
            if attempt == _ATTEMPTS or len(clashed) < len(failures):
                raise DevstackError(next(iter(failures.values())))
            for name in clashed:
                self._state.ports.pop(name)
            waiting = [s for s in self._services if {s.name, *s.connects_to} & set(clashed)]
            for service in waiting:
                self._children.pop(service.name).kill()

    def _choose_ports(self, services: list[Service]) -> None:
        taken = {
            port + offset
            for name, chosen in self._state.ports.items()
            if name in self._children
            for port in chosen.values()
            for offset in (0, ports.GRPC_OFFSET)
        }
        for service in services:
            self._state.ports[service.name] = ports.choose(
                service.ports,
                remembered=self._state.ports.get(service.name, {}),
                taken=taken,
                ephemeral=self._ephemeral,
            )

    def _launch(self, service: Service) -> None:
        place = self._place(service)
        place.directory.mkdir(exist_ok=True, mode=0o700)
        log = self.log(service.name)
        log.parent.mkdir(exist_ok=True)
        self._log_starts[service.name] = log.stat().st_size if log.exists() else 0
        child = Child(service.prepare(place), log)
        self._children[service.name] = child
        self._state.processes[service.name] = (child.pid, created(child.pid) or time.time())
        self._state.save(self.directory)

    def _await_health(self, services: list[Service]) -> dict[str, str]:
        """Wait until all are healthy; say of the others, by name, why they are not."""
        began = time.monotonic()
        waiting = list(services)
        failures: dict[str, str] = {}
        while waiting:
            if self.cancelled:
                raise DevstackError("The start was cancelled.")
            for service in list(waiting):
                exit_code = self._children[service.name].exit_code
                if exit_code is not None:
                    failures[service.name] = self._why(service, f"exited with code {exit_code}")
                elif time.monotonic() > began + service.healthy_within_s:
                    why = f"is not healthy after {service.healthy_within_s:.0f} s"
                    failures[service.name] = self._why(service, why)
                elif not service.is_healthy(self._place(service)):
                    continue
                waiting.remove(service)
            time.sleep(_POLL_S)
        return failures

    def _why(self, service: Service, what: str) -> str:
        log = self.log(service.name)
        return (
            f"{service.name} {what}: {last_words(log, self._log_starts[service.name])} (log: {log})"
        )


def place_of(service: Service, directory: Path, state: State) -> Place:
    """Where `service` lives in `directory`; secrets that are missing are made in `state`."""
    secrets = {name: state.secret(name) for name in service.secrets}
    neighbours = {name: state.ports[name] for name in service.connects_to if name in state.ports}
    return Place(directory / service.name, state.ports.get(service.name, {}), secrets, neighbours)


def _service(name: str) -> Service:
    if name not in SERVICES:
        known = ", ".join(SERVICES)
        raise DevstackError(f"There is no service {name!r}; there are {known}.")
    return SERVICES[name]
