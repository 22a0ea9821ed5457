"""The platform that integration tests run on: embedded, or the servers in containers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

KINDS = ("devstack", "containers")
"""Values of pytest's option --platform; the first is the default."""
SERVICES = ("nats", "seaweedfs", "clickhouse")
"""Names of the parts by which tests stop and start them; the second is S3 with the catalog."""


class Platform(Protocol):
    """Running servers, which tests may kill, freeze and start again."""

    @property
    def env(self) -> dict[str, str]:
        """The IOT_* settings by which clients reach them."""

    def clickhouse_url(self, role: str) -> str:
        """The URL for the ClickHouse user `admin`, `writer` or `reader`."""

    def kill(self, name: str) -> None:
        """Kill a server as a crash would and wait until it is gone."""

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a server; SIGSTOP makes it hang, SIGCONT lets it go on."""

    def start_service(self, name: str) -> None:
        """Start a killed server on the same ports and data; returns when it is healthy."""

    def is_running(self, name: str) -> bool:
        """Whether the server's process exists."""


class StartPlatform(Protocol):
    """Starts a platform of the chosen kind; it ends with the `with` block."""

    @contextmanager
    def __call__(self, folder: Path, services: tuple[str, ...] = SERVICES) -> Iterator[Platform]:
        """`folder` may keep data; `services` are those that are wanted."""


@contextmanager
def embedded(folder: Path, services: tuple[str, ...] = SERVICES) -> Iterator[Platform]:
    """The embedded platform, on free ports."""
    from devstack.supervisor import Devstack

    with Devstack(folder, services=services, ephemeral_ports=True) as running:
        yield running


@contextmanager
def in_containers(folder: Path, services: tuple[str, ...] = SERVICES) -> Iterator[Platform]:
    """The images of tests/images, in containers that are removed at the end, with their data."""
    del folder
    from tests.support.containers import Containers

    with Containers(services) as running:
        yield running


def start_platform(kind: str) -> StartPlatform:
    """What starts a platform of `kind`, one of `KINDS`."""
    return in_containers if kind == "containers" else embedded
