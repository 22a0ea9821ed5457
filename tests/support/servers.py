"""One container for each server: its settings, and how to tell that it serves."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from testcontainers.community.clickhouse import ClickHouseContainer
from testcontainers.community.minio import MinioContainer
from testcontainers.community.nats import NatsContainer
from testcontainers.core.container import DockerContainer

USER = "iot"
DATABASE = "iot"
LAKE = "lake"
CLICKHOUSE_PORT = 8123
REGION = "us-east-1"
_TIMEOUT_S = 2.0
_WARM_UP_S = 90.0

# As the embedded platform's: a refused message of 8 MB must still fit into the dead letters.
_NATS = """\
max_payload: 16777216
max_pending: 268435456
http_port: 8222
jetstream {{ store_dir: /data, max_memory_store: 268435456 }}
authorization {{ user: {user}, password: "{password}" }}
"""


@dataclass
class Server:
    """A server in a container; `port` is the one inside, `host_port` ours on 127.0.0.1."""

    container: DockerContainer
    port: int
    host_port: int
    environment: dict[str, str]

    def healthy(self) -> bool:
        """Whether it serves; each kind says how."""
        raise NotImplementedError

    def prepare(self) -> None:
        """What is done once it serves; may be done again."""

    def answers(self, path: str) -> bytes | None:
        """The body of a GET with status 200, None when there is no such answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.host_port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == http.client.OK else None


class Nats(Server):
    """JetStream with a user and password."""

    def healthy(self) -> bool:
        """Whether it greets with JetStream; Docker's own proxy accepts connections before it."""
        try:
            with socket.create_connection(("127.0.0.1", self.host_port), _TIMEOUT_S) as connection:
                return b'"jetstream":true' in connection.recv(4096)
        except OSError:
            return False


class _BesideS3(ClickHouseContainer):
    """A container in the network of another, which publishes its port."""

    published: int

    def get_exposed_port(self, port: int) -> int:
        """The port that the other container publishes for it."""
        del port
        return self.published


class ClickHouse(Server):
    """ClickHouse with one user, who may do everything."""

    def healthy(self) -> bool:
        """Whether it says so."""
        return self.answers("/ping") == b"Ok.\n"


class S3(Server):
    """MinIO's server."""

    def healthy(self) -> bool:
        """Whether it says so."""
        return self.answers("/minio/health/live") is not None

    def prepare(self) -> None:
        """Makes the bucket of the tables."""
        assert isinstance(self.container, MinioContainer)
        client = self.container.get_client()
        if not client.bucket_exists(LAKE):
            client.make_bucket(LAKE)


class Catalog(Server):
    """Iceberg's REST catalog."""

    def healthy(self) -> bool:
        """Whether it hands out its configuration."""
        body = self.answers("/v1/config")
        return body is not None and "endpoints" in json.loads(body)

    def prepare(self) -> None:
        """Makes a table: the first one loads thousands of classes, for longer than clients wait."""
        table = {"name": "t", "schema": {"type": "struct", "schema-id": 0, "fields": []}}
        self._send("POST", "/v1/namespaces", {"namespace": ["warm"]})
        self._send("POST", "/v1/namespaces/warm/tables", table)
        self._send("DELETE", "/v1/namespaces/warm/tables/t")
        self._send("DELETE", "/v1/namespaces/warm")

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.host_port, timeout=_WARM_UP_S)
        headers = {"Content-Type": "application/json"}
        with closing(connection):
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            said = answer.read()
        assert answer.status < http.client.BAD_REQUEST, f"{method} {path}: {said.decode()}"


def nats(image: str, host_port: int, password: str, options: dict[str, Any]) -> Nats:
    """NATS with JetStream on disk, which survives a restart of the container."""
    container = NatsContainer(image, **options).with_command(["--config", "/iot.conf"])
    text = _NATS.format(user=USER, password=password)
    container.with_copy_into_container(text.encode(), "/iot.conf")
    url = f"nats://{USER}:{password}@127.0.0.1:{host_port}"
    return Nats(container, 4222, host_port, {"IOT_NATS__URL": url})


def clickhouse(image: str, host_port: int, password: str, options: dict[str, Any]) -> ClickHouse:
    """ClickHouse as its image sets it up from the environment."""
    container = _BesideS3(image, username=USER, password=password, dbname=DATABASE, **options)
    container.published = host_port
    container.with_env("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "1")
    url = f"http://{USER}:{password}@127.0.0.1:{host_port}/{DATABASE}"
    return ClickHouse(container, CLICKHOUSE_PORT, host_port, {"IOT_CLICKHOUSE__URL": url})


def s3(image: str, host_port: int, password: str, options: dict[str, Any]) -> S3:
    """MinIO's server, `s3` in the network of the options, on the same port inside and outside."""
    container = MinioContainer(
        image, port=host_port, access_key=USER, secret_key=password, **options
    )
    container.with_env("MINIO_ROOT_USER", USER).with_env("MINIO_ROOT_PASSWORD", password)
    # The names that MinIO had for them before; it refuses both at once.
    for old in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        container.env.pop(old, None)
    container.with_network_aliases("s3")
    settings = {
        "IOT_S3__ENDPOINT": f"http://127.0.0.1:{host_port}",
        "IOT_S3__ACCESS_KEY": USER,
        "IOT_S3__SECRET_KEY": password,
        "IOT_S3__REGION": REGION,
    }
    return S3(container, host_port, host_port, settings)


def catalog(image: str, host_port: int, password: str, options: dict[str, Any]) -> Catalog:
    """The REST catalog over SQLite, with its tables in the bucket `lake`."""
    container = DockerContainer(image, **options)
    properties = {
        "URI": "jdbc:sqlite:/tmp/catalog.db",
        # SQLite has one writer; a second connection would find it locked.
        "CLIENTS": "1",
        "WAREHOUSE": f"s3://{LAKE}",
        "IO__IMPL": "org.apache.iceberg.aws.s3.S3FileIO",
        "S3_PATH__STYLE__ACCESS": "true",
        "S3_ACCESS__KEY__ID": USER,
        "S3_SECRET__ACCESS__KEY": password,
        "CLIENT_REGION": REGION,
    }
    container.with_envs(**{f"CATALOG_{name}": value for name, value in properties.items()})
    settings = {
        "IOT_CATALOG__URI": f"http://127.0.0.1:{host_port}",
        "IOT_CATALOG__WAREHOUSE": f"s3://{LAKE}",
        "IOT_CATALOG__AUTH": "none",
    }
    return Catalog(container, 8181, host_port, settings)
