"""The configurations of the streams that ingest makes, as JetStream's API takes them."""

from __future__ import annotations

from typing import Any

from ingest.contract import Contract
from ingest.dlq import STREAM, SUBJECT_PREFIX
from ingest.lanes import bound_subjects
from ingest.settings import Settings

DEAD_LETTER_OVERHEAD_BYTES = 8 << 10
"""A refused message goes to the DLQ with its payload and headers; it must still fit a publish."""


def lane_config(settings: Settings, contract: Contract, max_payload: int) -> dict[str, Any]:
    """The lane: every reading of the contract's subjects, kept by age and size alone.

    ``max_payload`` is the server's largest publish in bytes, headers included.
    """
    stream = settings.stream
    return {
        **_common(settings),
        "name": contract.stream,
        "description": f"Readings of the contract {contract.name}",
        **bound_subjects(settings, contract),
        "discard": stream.discard,
        "max_age": _nanoseconds(stream.max_age_h * 3600),
        "max_bytes": stream.max_bytes,
        "max_msg_size": max_payload - DEAD_LETTER_OVERHEAD_BYTES,
        "duplicate_window": _nanoseconds(min(stream.duplicate_window_s, stream.max_age_h * 3600)),
    }


def dead_letter_config(settings: Settings) -> dict[str, Any]:
    """The dead-letter queue: nothing ages out, and a full one refuses rather than forgets.

    Rollup headers let a tombstone replace its entry in one publish.
    """
    return {
        **_common(settings),
        "name": STREAM,
        "description": "Messages that can never be stored, with the reason",
        "subjects": [f"{SUBJECT_PREFIX}.>"],
        "discard": "new",
        "max_age": 0,
        "max_bytes": settings.stream.dlq_max_bytes,
        "duplicate_window": _nanoseconds(settings.stream.duplicate_window_s),
        "allow_rollup_hdrs": True,
        "deny_delete": False,
        "deny_purge": False,
    }


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "retention": "limits",
        "storage": "file",
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_consumers": -1,
        "num_replicas": settings.stream.replicas,
        "allow_direct": False,
    }


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)
