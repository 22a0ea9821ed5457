"""What is run together: services, the versions of their programs, settings of the clients."""

from __future__ import annotations

from dataclasses import dataclass, field

from devstack.clickhouse_server import ClickHouse
from devstack.nats import Nats
from devstack.seaweedfs import SeaweedFS
from devstack.service import Service

EMBEDDED: tuple[Service, ...] = (Nats(), SeaweedFS(), ClickHouse())
"""The servers that the project pins."""


@dataclass(frozen=True)
class Combination:
    """One row of the table.

    ``programs`` are variables of the embedded platform and what scripts/compatibility_servers.sh
    makes for each. ``variables`` are those of the clients. ``refused`` is what `ingest doctor` says
    of a server that cannot do it.
    """

    name: str
    part: str
    server: str
    services: tuple[Service, ...] = EMBEDDED
    programs: dict[str, tuple[str, str]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    bucket: str = ""
    """A bucket that the catalog's owner makes before `ingest init`."""
    refused: str = ""
    lake_variables: dict[str, str] = field(default_factory=dict)
    """Variables of the lake writer alone."""
    oauth2: bool = False
    """Clients get into the catalog by a token, for the keys of the store."""
    resolves: str = ""
    """A domain that has to lead to this machine, with the buckets below it."""
