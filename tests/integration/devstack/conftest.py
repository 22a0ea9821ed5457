"""A fresh ClickHouse database for each test, and clients of every role."""

from __future__ import annotations

import http.client
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from devstack.supervisor import Devstack


class Connect(Protocol):
    """Makes a client of a role in the test's database."""

    def __call__(self, role: str = "writer", **options: Any) -> Client:
        """A client; options are clickhouse-connect's."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Curl:
    """Plain HTTP requests, the way curl sends them; parameters become the query string."""

    def __init__(self, url: str, database: str) -> None:
        parts = urlsplit(url)
        self.address = f"{parts.hostname}:{parts.port}"
        self.user, self.password = str(parts.username), str(parts.password)
        self.database = database

    def __call__(
        self,
        body: bytes | str | None = None,
        *,
        method: str | None = None,
        path: str = "/",
        headers: dict[str, str] | None = None,
        login: bool = True,
        **params: str,
    ) -> Answer:
        """Send one request on a connection of its own."""
        basic = b64encode(f"{self.user}:{self.password}".encode()).decode()
        sent = {"Authorization": f"Basic {basic}"} if login else {}
        given = {"database": self.database, **params}
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            verb = method or ("GET" if body is None else "POST")
            connection.request(verb, f"{path}?{urlencode(given)}", body, sent | (headers or {}))
            answer = connection.getresponse()
            lower = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, lower, answer.read())
        finally:
            connection.close()


@pytest.fixture
def database(stack: Devstack) -> Iterator[str]:
    """An empty database that the writer owns."""
    name = f"iot_{secrets.token_hex(4)}"
    with clickhouse_connect.get_client(dsn=stack.clickhouse_url("writer")) as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE {name}")


@pytest.fixture
def connect(stack: Devstack, database: str) -> Iterator[Connect]:
    """Clients that the test need not close."""
    clients: list[Client] = []

    def make(role: str = "writer", **options: Any) -> Client:
        dsn = stack.clickhouse_url(role)
        client = clickhouse_connect.get_client(dsn=dsn, **{"database": database, **options})
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def curl(stack: Devstack, database: str) -> Callable[..., Answer]:
    """Requests as the writer in the test's database."""
    return Curl(stack.clickhouse_url("writer"), database)
