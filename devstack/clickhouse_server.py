"""ClickHouse: a real `clickhouse` binary where there is one, else the embedded server."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from devstack.ports import PortWish
from devstack.program import executable
from devstack.service import Launch, Place, write_private

DATABASE = "iot"
WRITER = "writer"
ROLES = ("admin", "writer", "reader")
PYTHON_VARIABLE = "DEVSTACK_CLICKHOUSE_PYTHON"
"""Environment variable: a Python whose chdb-core is the engine, such as an older one."""

_TIMEOUT_S = 3.0
_MEMORY_MIB = 2048


class ClickHouse:
    """ClickHouse over HTTP with the users admin, writer (owns `iot` and `iot_*`) and reader."""

    name: str = "clickhouse"
    ports: Mapping[str, PortWish] = {"http": PortWish(8123)}
    secrets: tuple[str, ...] = tuple(f"clickhouse_{role}_password" for role in ROLES)
    connects_to: tuple[str, ...] = ()
    healthy_within_s: float = 30.0
    grace_s: float = 5.0

    def prepare(self, place: Place) -> Launch:
        """Write the users; the data survives restarts."""
        python = os.environ.get(PYTHON_VARIABLE)
        binary = None if python else shutil.which("clickhouse")
        if binary is not None:
            from devstack.clickhouse_binary import prepare

            return prepare(binary, place, DATABASE)
        users = place.directory / "users.json"
        write_private(users, json.dumps(_users(place), indent=2))
        arguments = [
            executable(PYTHON_VARIABLE, python) if python else sys.executable,
            *("-m", "devstack.clickhouse"),
            *("--port", str(place.ports["http"])),
            *("--path", str(place.directory / "embedded")),
            *("--users-file", str(users)),
            *("--database", DATABASE),
            *("--memory-mib", str(_MEMORY_MIB)),
        ]
        here = str(Path(__file__).resolve().parent.parent)
        inherited = os.environ.get("PYTHONPATH", "")
        return Launch(arguments, {"PYTHONPATH": os.pathsep.join(filter(None, [here, inherited]))})

    def is_healthy(self, place: Place) -> bool:
        """Whether the writer's password opens the database."""
        login = f"{WRITER}:{place.secrets[f'clickhouse_{WRITER}_password']}".encode()
        connection = http.client.HTTPConnection(
            "127.0.0.1", place.ports["http"], timeout=_TIMEOUT_S
        )
        try:
            headers = {"Authorization": "Basic " + b64encode(login).decode()}
            connection.request("GET", f"/?query=SELECT+1&database={DATABASE}", headers=headers)
            return connection.getresponse().read() == b"1\n"
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def environment(self, place: Place) -> dict[str, str]:
        """IOT_CLICKHOUSE__URL, as the user who owns the database and nothing else."""
        return {"IOT_CLICKHOUSE__URL": url(place, WRITER)}

    def endpoints(self, place: Place) -> dict[str, str]:
        """The HTTP address."""
        return {"http": f"http://127.0.0.1:{place.ports['http']}"}


def url(place: Place, role: str) -> str:
    """The URL with which the user `role` (admin, writer, reader) connects."""
    password = place.secrets[f"clickhouse_{role}_password"]
    return f"http://{role}:{password}@127.0.0.1:{place.ports['http']}/{DATABASE}"


def _users(place: Place) -> dict[str, dict[str, object]]:
    users: dict[str, dict[str, object]] = {}
    for role in ROLES:
        password = place.secrets[f"clickhouse_{role}_password"]
        users[role] = {"password": password, "role": role}
    users[WRITER]["databases"] = [DATABASE, f"{DATABASE}_*"]
    return users
