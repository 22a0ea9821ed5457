"""NATS, ClickHouse, S3 and the catalog in containers, by testcontainers."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import Any, Self

import clickhouse_connect
import docker
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from docker.errors import APIError, DockerException
from testcontainers.core.config import ConnectionMode, testcontainers_config
from testcontainers.core.network import Network

from devstack import ports
from tests.images.names import images
from tests.support import servers
from tests.support.servers import Server
from tests.support.waiting import until

OWNER = "iot-lakehouse.tests.owner"
"""Label of every container and network of ours: the process that removes it, see `owner`."""

_PARTS = {"nats": ("nats",), "clickhouse": ("clickhouse",), "seaweedfs": ("s3", "catalog")}
_HEALTHY_WITHIN_S = 60.0
_NO_ROOM_FOR_USERS = 514
"""ClickHouse's code where no user can be stored, as in the stand-in."""


class Containers:
    """A platform in containers; see `tests.support.platforms.Platform`."""

    def __init__(self, services: tuple[str, ...]) -> None:
        try:
            configure()
        except DockerException as error:
            error.add_note("scripts/docker_daemon.sh start says why there is no Docker daemon.")
            raise
        self._wanted = [part for service in services for part in _PARTS[service]]
        wishes = {part: ports.PortWish(0) for part in self._wanted}
        # Fixed ones: Docker would choose anew when a container is started again.
        self._ports = ports.choose(wishes, remembered={}, taken=set(), ephemeral=True)
        self._password = secrets.token_hex(16)
        self._servers: dict[str, Server] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            on_failure.callback(self._ends.close)
            # The others need the container of S3, its address or its network.
            for parts in (("nats", "s3"), ("clickhouse", "catalog")):
                chosen = [part for part in parts if part in self._wanted]
                self._servers |= {part: self._server(part) for part in chosen}
                with ThreadPoolExecutor(len(parts)) as pool:
                    list(pool.map(self._start, [self._servers[part] for part in chosen]))
            on_failure.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def env(self) -> dict[str, str]:
        """The IOT_* settings of the running servers."""
        settings: dict[str, str] = {}
        for server in self._servers.values():
            settings |= server.environment
        return settings

    def clickhouse_url(self, role: str) -> str:
        """The image's user, who may do everything, or a reader made for it."""
        url = self.env["IOT_CLICKHOUSE__URL"]
        if role != "reader":
            return url
        statement = f"CREATE USER IF NOT EXISTS reader IDENTIFIED BY '{self._password}'"
        with clickhouse_connect.get_client(dsn=url) as client:
            try:
                client.command(statement)
            except DatabaseError as error:
                if error.code != _NO_ROOM_FOR_USERS:
                    raise
                pytest.skip("this ClickHouse cannot make users")
            client.command("GRANT SELECT ON *.* TO reader")
        return url.replace(f"//{servers.USER}:", "//reader:", 1)

    def kill(self, name: str) -> None:
        """SIGKILL to the server in each container of `name`; the containers stay."""
        for server in self._of(name):
            container = server.container.get_wrapped_container()
            container.kill()
            container.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """A signal to the server in each container of `name`."""
        for server in self._of(name):
            server.container.get_wrapped_container().kill(signal=number)

    def start_service(self, name: str) -> None:
        """Start killed containers; ports are fixed and data lies inside them."""
        for server in self._of(name):
            server.container.get_wrapped_container().start()
        awaited = self._of(name)
        if name == "seaweedfs" and "clickhouse" in self._servers:
            # Its network went with the container of S3.
            awaited.append(self._servers["clickhouse"])
            awaited[-1].container.get_wrapped_container().restart()
        for server in awaited:
            self._await(server)

    def is_running(self, name: str) -> bool:
        """Whether all containers of `name` run."""
        found = [server.container.get_wrapped_container() for server in self._of(name)]
        for container in found:
            container.reload()
        return all(container.status == "running" for container in found)

    def _of(self, name: str) -> list[Server]:
        return [self._servers[part] for part in _PARTS[name]]

    def _server(self, part: str) -> Server:
        make = getattr(servers, part)
        server: Server = make(images()[part], self._ports[part], self._password, _owned())
        published = {part: server.port}
        if part == "s3":
            self._network = self._ends.enter_context(Network(docker_network_kw=_owned()))
            server.container.with_network(self._network)
            published |= {"clickhouse": servers.CLICKHOUSE_PORT}
        if part == "catalog":
            server.container.with_network(self._network)
            server.container.with_env("CATALOG_S3_ENDPOINT", f"http://s3:{self._ports['s3']}")
        if part == "clickhouse" and "s3" in self._servers:
            # Then 127.0.0.1 leads to S3 for ClickHouse as it does for us: it reads tables there.
            beside = self._servers["s3"].container.get_container_id()
            server.container.with_kwargs(**_owned(), network_mode=f"container:{beside}")
            published = {}
        server.container.ports = {
            f"{port}/tcp": ("127.0.0.1", self._ports[name])  # type: ignore[misc]
            for name, port in published.items()
            if name in self._ports
        }
        return server

    def _start(self, server: Server) -> None:
        try:
            self._ends.enter_context(server.container)
        except DockerException as error:
            error.add_note("tests/images/build.sh brings the images of the tests here.")
            raise
        self._await(server)

    def _await(self, server: Server) -> None:
        until(server.healthy, f"{server.container.image} to serve", _HEALTHY_WITHIN_S)
        server.prepare()


def configure() -> None:
    """Ports of the loopback; Ryuk, which removes what a killed run leaves, where its image is."""
    if testcontainers_config.connection_mode_override is None:
        testcontainers_config.connection_mode_override = ConnectionMode.docker_host
    testcontainers_config.sleep_time = 0.1
    testcontainers_config.max_tries = int(_HEALTHY_WITHIN_S / testcontainers_config.sleep_time)
    if "TESTCONTAINERS_RYUK_DISABLED" not in os.environ:
        testcontainers_config.ryuk_disabled = not _is_here(testcontainers_config.ryuk_image)


def sweep() -> None:
    """Removes containers and networks whose process has ended without doing so."""
    try:
        client = docker.from_env()
    except DockerException:
        return
    with closing(client):
        wanted = {"label": OWNER}
        found = [(one, one.labels) for one in client.containers.list(all=True, filters=wanted)]
        networks = client.networks.list(filters=wanted)
        for container, labels in found:
            if _is_orphan(labels[OWNER]):
                with suppress(APIError):  # another run was faster
                    container.remove(force=True, v=True)
        for network in networks:
            if _is_orphan(network.attrs["Labels"][OWNER]):
                with suppress(APIError):
                    network.remove()


def owner(pid: int) -> str:
    """The value of the label for a process; several machines may share one Docker daemon."""
    return f"{socket.gethostname()}:{pid}"


def _owned() -> dict[str, Any]:
    return {"labels": {OWNER: owner(os.getpid())}}


def _is_orphan(label: str) -> bool:
    pid = int(label.rpartition(":")[2])
    if label != owner(pid):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's process lives
    return False


def _is_here(image: str) -> bool:
    with closing(docker.from_env()) as client:
        return bool(client.images.list(name=image))
