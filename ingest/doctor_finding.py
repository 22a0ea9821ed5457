"""One check of `ingest doctor`: what was looked at, what was found, how to mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """``mend`` is empty when all is well. A note costs comfort or speed, never a reading."""

    part: str
    check: str
    verdict: Verdict
    found: str
    mend: str = ""

    def __str__(self) -> str:
        mend = f"; {self.mend}" if self.mend else ""
        shown = "PROBLEM" if self.verdict == "problem" else self.verdict
        return f"{shown:<7}  {self.part}: {self.check}: {self.found}{mend}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Findings:
    """Collects the findings of one part."""

    def __init__(self, part: str) -> None:
        self._part = part
        self.all: list[Finding] = []

    def ok(self, check: str, found: object = "ok") -> None:
        """All is well."""
        self.all.append(Finding(self._part, check, "ok", str(found)))

    def problem(self, check: str, found: object, mend: str) -> None:
        """A promise cannot be kept, or a writer would stop."""
        self.all.append(Finding(self._part, check, "problem", str(found), mend))

    def note(self, check: str, found: object, mend: str) -> None:
        """Works, but not as well as it could."""
        self.all.append(Finding(self._part, check, "note", str(found), mend))

    def require(self, check: str, found: object, mend: str, *, fine: bool) -> bool:
        """``ok`` or ``problem`` by ``fine``, which is returned."""
        if fine:
            self.ok(check, found)
        else:
            self.problem(check, found, mend)
        return fine
