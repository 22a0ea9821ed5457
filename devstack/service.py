"""What the supervisor needs to know of a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from devstack.ports import PortWish


@dataclass(frozen=True)
class Place:
    """Where one service lives: its folder, its ports by name, and the platform's secrets."""

    directory: Path
    ports: dict[str, int]
    secrets: dict[str, str] = field(repr=False)
    neighbours: dict[str, dict[str, int]] = field(default_factory=dict)
    """Ports of the services that it connects to, by service; those that are there."""


@dataclass(frozen=True)
class Launch:
    """A process to start: arguments, what is added to the environment, where it runs."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    directory: Path | None = None


class Service(Protocol):
    """One engine of the platform; implementations keep no state of a run."""

    name: str
    ports: Mapping[str, PortWish]
    secrets: tuple[str, ...]
    connects_to: tuple[str, ...]
    """Services whose ports stand in its configuration."""
    healthy_within_s: float
    grace_s: float
    """Time to end after SIGTERM, before SIGKILL."""

    def prepare(self, place: Place) -> Launch:
        """Write configuration into the folder and say what to run."""

    def is_healthy(self, place: Place) -> bool:
        """Whether it serves requests with the right credentials; answers within seconds.

        Raises `DevstackError` for what waiting cannot mend.
        """

    def environment(self, place: Place) -> dict[str, str]:
        """The IOT_* settings by which clients reach it."""

    def endpoints(self, place: Place) -> dict[str, str]:
        """What a person may want to open, label -> URL, without secrets."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")
