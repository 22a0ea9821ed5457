"""Named places in both sink protocols where a test can make a process fail.

``INGEST_FAULT=<point>:<action>[:<n>]`` acts at the n-th time (default 1) that the point is reached:
``kill`` (SIGKILL), ``stop`` (SIGSTOP; goes on after SIGCONT) or ``raise``. Without the variable a
point costs one comparison. The crash suite runs every point of this list.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class FaultPoint(StrEnum):
    """The steps of the two protocols between which a process may die."""

    HOT_BEFORE_INTENT = "hot.before_intent"
    HOT_AFTER_INTENT = "hot.after_intent"
    HOT_WITH_NEXT_DECODED = "hot.with_next_decoded"
    HOT_AFTER_INSERT = "hot.after_insert"
    HOT_AFTER_DONE = "hot.after_done"
    HOT_BEFORE_SETTLE = "hot.before_settle"
    HOT_AFTER_REBUILD = "hot.after_rebuild"
    LAKE_AFTER_SPOOL = "lake.after_spool"
    LAKE_BEFORE_UPLOAD = "lake.before_upload"
    LAKE_AFTER_UPLOAD = "lake.after_upload"
    LAKE_AFTER_COMMIT = "lake.after_commit"
    LAKE_BEFORE_SETTLE = "lake.before_settle"
    DLQ_BEFORE_PUBLISH = "dlq.before_publish"
    DLQ_AFTER_PUBLISH = "dlq.after_publish"


class InjectedFaultError(Exception):
    """Raised at a fault point when a test asked for it."""


def _parse(text: str) -> tuple[str, str, int]:
    point, action, *rest = text.split(":")
    return FaultPoint(point).value, action, int(rest[0]) if rest else 1


_armed: tuple[str, str, int] | None = (
    _parse(os.environ["INGEST_FAULT"]) if os.environ.get("INGEST_FAULT") else None
)
_reached = 0


def reach(point: FaultPoint) -> None:
    """Fails here if a test armed this point; does nothing else."""
    if _armed is None or _armed[0] != point.value:
        return
    global _reached  # noqa: PLW0603 - a process fails at most once, whatever object reaches it
    _reached += 1
    if _reached != _armed[2]:
        return
    if _armed[1] == "raise":
        raise InjectedFaultError(point.value)
    os.kill(os.getpid(), signal.SIGKILL if _armed[1] == "kill" else signal.SIGSTOP)
