"""The clock of this process set to another day, as if readings had grown old meanwhile.

JetStream gives every message the time of its arrival, so old days cannot be published.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

DAYS = 10
_real_ns = time.time_ns


def set_clock(monkeypatch: pytest.MonkeyPatch, days: int = DAYS) -> None:
    """Lets proof, retention, the hot writer's start and Dagster see a time ``days`` later."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=days)

    monkeypatch.setattr(time, "time_ns", lambda: _real_ns() + days * 86_400 * 10**9)
    monkeypatch.setattr("ingest.hot_takeover.datetime", Later)
    monkeypatch.setattr("dagster._time._mockable_get_current_datetime", lambda: Later.now(UTC))
