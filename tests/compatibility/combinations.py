"""Every combination that is run, in the order of the table."""

from __future__ import annotations

from typing import Any

from devstack.clickhouse_server import ClickHouse
from devstack.nats import Nats
from tests.compatibility.combination import Combination
from tests.compatibility.servers.iceberg_fixture import WAREHOUSE, IcebergFixture
from tests.compatibility.servers.minio import Minio
from tests.compatibility.servers.versitygw import VersityGateway

DOMAIN = "s3.iot.test"

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


def _stored(
    name: str, server: str, store: Minio | VersityGateway, *, part: str = "S3", **fields: Any
) -> Combination:
    """On a store that brings no catalog: Iceberg's fixture is put beside it."""
    region = store.region if isinstance(store, Minio) else "us-east-1"
    catalog = IcebergFixture(vends=fields.pop("vends", False), region=region)
    services = (Nats(), store, catalog, ClickHouse())
    return Combination(name, part, server, services, bucket=WAREHOUSE, **fields)


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
    _stored("minio", "MinIO 2026-02-12", Minio()),
    _stored("minio-region", "MinIO, region eu-central-1", Minio(region="eu-central-1")),
    _stored(
        "minio-checksums",
        "MinIO, checksums only where S3 requires them",
        Minio(),
        variables={
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        },
    ),
    _stored(
        "minio-virtual",
        "MinIO, buckets as host names",
        Minio(domain=DOMAIN),
        variables={"IOT_S3__ADDRESSING": "virtual"},
        resolves=DOMAIN,
    ),
    _stored("versitygw", "Versity S3 Gateway 1.8.0 over a folder", VersityGateway()),
    _stored(
        "catalog-vends",
        "Iceberg's REST fixture 1.11.0 on MinIO, vended keys",
        Minio(),
        part="catalog",
        vends=True,
        # Only the keys that come with the table can be right.
        lake_variables={"IOT_S3__SECRET_KEY": "not-the-key"},
    ),
    Combination(
        "catalog-oauth2",
        "catalog",
        "SeaweedFS's catalog, OAuth2 client credentials",
        oauth2=True,
    ),
)
