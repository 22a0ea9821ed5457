# ruff: noqa: INP001, T201, S310 - a program that verify runs in a pod; it opens our own server
"""Counts the rows of the hot table's parts."""

import os
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

server = urlsplit(os.environ["IOT_CLICKHOUSE__URL"])
request = Request(
    f"{server.scheme}://{server.hostname}:{server.port or 8123}/",
    data=b"SELECT count(), version() FROM iot.readings",
    headers={
        "X-ClickHouse-User": unquote(server.username or "default"),
        "X-ClickHouse-Key": unquote(server.password or ""),
    },
)
with urlopen(request, timeout=60) as answer:
    rows, version = answer.read().decode().split()
print(f"{rows} rows in iot.readings, server {version}")
