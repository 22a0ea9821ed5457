"""The lanes of a contract: each has a stream, a registry, positions and a ledger of its own.

All of them fill the same tables. What is asked of a lane is asked of each in turn, and what is
answered is put together with the lane's name; with a single lane nothing is said of lanes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from ingest.contract import Contract
from ingest.lanes import each_lane, in_lane
from ingest.settings import Settings

Value = TypeVar("Value")


@dataclass(frozen=True)
class Lane:
    """One lane: settings of `ingest` that name it, and the contract with its stream."""

    settings: Settings
    contract: Contract

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.contract.stream


def lanes_of(settings: Settings, contract: Contract) -> list[Lane]:
    """The lanes that the settings name: all, or the one of ``lanes.only``. Raises SettingsError."""
    return [Lane(one, in_lane(one, contract)) for one in each_lane(settings)]


def named(text_by_lane: Mapping[str, str], *, several: bool) -> str:
    """Sentences on lanes as one, each with its lane's name when there are ``several`` lanes."""
    if not several:
        return "; ".join(text_by_lane.values())
    return "; ".join(f"{lane}: {text}" for lane, text in text_by_lane.items())


def keyed(values_by_lane: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """Values under ``<name>/<lane>``."""
    return {
        f"{name}/{lane}": value
        for lane, values in values_by_lane.items()
        for name, value in values.items()
    }
