"""Being asked to stop: drain first, and do not wait for ever for what is away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ingest.errors import IngestError


class DrainTimeoutError(IngestError):
    """NATS or a sink was away while the process was asked to stop; the range stays on record."""


@dataclass
class Stopping:
    """Asked to stop: ``soon`` drains; after ``grace_s`` nothing that is away is waited for."""

    grace_s: float = 20.0
    soon: asyncio.Event = field(default_factory=asyncio.Event)
    _since: float = 0.0

    def ask(self) -> None:
        """Asks to drain."""
        if not self.soon.is_set():
            self._since = asyncio.get_running_loop().time()
            self.soon.set()

    @property
    def overdue(self) -> bool:
        """Whether the grace is over."""
        now = asyncio.get_running_loop().time()
        return self.soon.is_set() and now - self._since > self.grace_s

    def require_time(self, what: str) -> None:
        """Raises DrainTimeoutError when the grace is over."""
        if self.overdue:
            raise DrainTimeoutError(
                f"{what} was asked to stop while NATS is away; what is under way stays on record"
                " and is settled at the next start"
            )
