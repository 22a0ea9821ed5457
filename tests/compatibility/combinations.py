"""Every combination that is run, in the order of the table."""

from __future__ import annotations

from devstack.clickhouse_server import ClickHouse
from devstack.nats import Nats
from tests.compatibility.combination import Combination
from tests.compatibility.servers.iceberg_fixture import WAREHOUSE, IcebergFixture
from tests.compatibility.servers.minio import Minio

PINNED = Combination("pinned", "all", "as constraints.txt pins them")


def _nats(version: str, refused: str = "") -> Combination:
    short = ".".join(version.split(".")[:2])
    program = {"DEVSTACK_NATS_SERVER": ("nats", version)}
    return Combination(
        f"nats-{short}", "NATS", f"nats-server {version}", programs=program, refused=refused
    )


def _clickhouse(version: str) -> Combination:
    short = ".".join(version.split(".")[:2])
    program = {"DEVSTACK_CLICKHOUSE_PYTHON": ("chdb", version)}
    return Combination(
        f"clickhouse-{short}", "ClickHouse", f"chdb-core {version}", programs=program
    )


def _seaweedfs(version: str) -> Combination:
    program = {"DEVSTACK_WEED": ("seaweedfs", version)}
    return Combination(f"seaweedfs-{version}", "S3", f"SeaweedFS {version}", programs=program)


def _minio(
    name: str, server: str, store: Minio, *, vends: bool = False, **variables: str
) -> Combination:
    catalog = IcebergFixture(vends=vends, region=store.region)
    services = (Nats(), store, catalog, ClickHouse())
    return Combination(name, "S3", server, services, variables=variables, bucket=WAREHOUSE)


ALL = (
    PINNED,
    _nats("2.9.25", refused="use NATS 2.10 or newer"),
    _nats("2.10.27"),
    _nats("2.11.17"),
    _nats("2.12.15"),
    _nats("2.14.9"),
    _nats("2.15.2"),
    _clickhouse("26.1.0"),
    _clickhouse("26.3.0"),
    _clickhouse("26.5.0"),
    _clickhouse("26.7.3"),
    _seaweedfs("4.30"),
    _minio("minio", "MinIO", Minio()),
    _minio("minio-region", "MinIO, region eu-central-1", Minio(region="eu-central-1")),
)
