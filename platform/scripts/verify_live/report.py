# ruff: noqa: INP001, T201 - a folder that is run, in no package; it prints
"""One line for each check: ok, FAILED with what was found and expected, or skipped with why."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


class CheckError(Exception):
    """A check found something else than it expected; the message says both."""


class SkipError(Exception):
    """A check does not apply here; the message says why."""


@dataclass(frozen=True)
class Check:
    """A named check; it returns what it found, or raises CheckError or SkipError."""

    group: str
    name: str
    look: Callable[[], str]


@dataclass
class Report:
    """Runs checks and counts what came of them."""

    ok: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0

    def run(self, check: Check) -> None:
        """Run one check and print its line."""
        name, begun = f"{check.group}: {check.name}", time.monotonic()
        try:
            found = check.look()
        except SkipError as why:
            self.skipped += 1
            print(f"skipped  {name}: {why}", flush=True)
        except CheckError as why:
            self.failed.append(name)
            print(f"FAILED   {name}: {why}", flush=True)
        except (KeyError, IndexError, ValueError) as error:
            self.failed.append(name)
            print(f"FAILED   {name}: an answer without {error!r}, which it should have", flush=True)
        else:
            self.ok += 1
            print(
                f"ok       {name}: {found.strip()} ({time.monotonic() - begun:.1f} s)", flush=True
            )

    def finish(self) -> int:
        """Print the sum; 1 when a check failed."""
        print(f"\n{self.ok} ok, {len(self.failed)} failed, {self.skipped} skipped")
        for name in self.failed:
            print(f"  failed: {name}")
        return 1 if self.failed else 0
