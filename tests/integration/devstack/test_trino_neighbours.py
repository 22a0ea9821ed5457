"""A service whose configuration names another's ports always names those in use."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from devstack import ports, supervisor
from devstack.ports import PortWish
from devstack.service import Launch, Place
from devstack.supervisor import Devstack

LISTEN = """
import pathlib, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
pathlib.Path("listening").write_text(sys.argv[1])
time.sleep(600)
"""


@dataclass
class Listener:
    """A service that listens, and is healthy once it does."""

    name: str
    connects_to: tuple[str, ...] = ()
    ports: Mapping[str, PortWish] = None  # type: ignore[assignment]
    secrets: tuple[str, ...] = ()
    healthy_within_s: float = 30.0
    grace_s: float = 1.0

    def prepare(self, place: Place) -> Launch:
        """Keep what it was told of its neighbours, in its folder."""
        (place.directory / "listening").unlink(missing_ok=True)
        (place.directory / "told").write_text(str(place.neighbours))
        port = place.ports["port"]
        return Launch([sys.executable, "-c", LISTEN, str(port)], directory=place.directory)

    def is_healthy(self, place: Place) -> bool:
        """Whether it listens."""
        return (place.directory / "listening").exists()

    def environment(self, place: Place) -> dict[str, str]:
        """Nothing."""
        return {}

    def endpoints(self, place: Place) -> dict[str, str]:
        """Nothing."""
        return {}


@pytest.fixture
def lost_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port that looks free at the first look and is another program's."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = int(other.getsockname()[1])
        honest, looks = ports.is_free, iter([True])
        monkeypatch.setattr(
            ports, "is_free", lambda asked: (asked == taken and next(looks, False)) or honest(asked)
        )
        yield taken


def test_a_port_lost_in_the_last_moment_restarts_who_was_told_of_it(
    tmp_path: Path, lost_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its configuration is written again with the new port."""
    lake = Listener("lake", ports={"port": PortWish(lost_port)})
    reader = Listener("reader", ("lake",), {"port": PortWish(0)})
    monkeypatch.setattr(supervisor, "SERVICES", {"lake": lake, "reader": reader})
    free = ports.choose(lake.ports, remembered={}, taken=set(), ephemeral=True)["port"]
    reader.ports = {"port": PortWish(free)}
    with Devstack(tmp_path, ("lake", "reader")) as stack:
        assert "address already in use" in stack.log("lake").read_text().lower()
        used = int((tmp_path / "lake/listening").read_text())
        assert used != lost_port
        assert (tmp_path / "reader/told").read_text() == str({"lake": {"port": used}})


def test_of_neighbours_that_are_not_there_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service starts without those that it would connect to."""
    reader = Listener("reader", ("lake",), {"port": PortWish(0)})
    monkeypatch.setattr(supervisor, "SERVICES", {"reader": reader})
    with Devstack(tmp_path, ("reader",), ephemeral_ports=True):
        assert (tmp_path / "reader/told").read_text() == "{}"
