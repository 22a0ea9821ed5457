"""What one step of provisioning did, as a record and as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["made", "there", "changed", "differs", "missing"]


@dataclass(frozen=True)
class Step:
    """One part of the platform; ``details`` tell what was changed or how it differs."""

    part: str
    name: str
    outcome: Outcome
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f": {'; '.join(self.details)}" if self.details else ""
        return f"{self.outcome:<7} {self.part} {self.name}{told}"


def made_or_there(part: str, name: str, *, made: bool) -> Step:
    """A step that either made its part or found it."""
    return Step(part, name, "made" if made else "there")
