"""One reading, the message that carries it, and the subject it goes to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_IN_TOKEN = re.compile(r"[^\w-]")


class Reading(NamedTuple):
    """One measured value; ``ts_us`` is microseconds since the Unix epoch, UTC."""

    device_id: str
    site: str
    metric: str
    ts_us: int
    value: float
    unit: str


class Message(NamedTuple):
    """One message to publish, and what it adds to the manifest once it is acknowledged.

    ``readings`` and ``fingerprint`` (sum of its readings' hashes) are 0 when ``malformed``.
    ``label`` names the malformed kind, else ``late``, ``duplicate``, ``catch_up`` or nothing.
    ``due_s``: seconds after the start of the run before which it must not be sent.
    """

    subject: str
    payload: bytes
    device: str
    readings: int
    fingerprint: int
    label: str = ""
    malformed: bool = False
    due_s: float = 0.0


def subject_token(text: str) -> str:
    """Text as one subject token: whatever NATS gives a meaning or refuses becomes ``_``."""
    return _NOT_IN_TOKEN.sub("_", text) or "_"


def subject_of(prefix: str, site: str, device_id: str, metric: str) -> str:
    """Subject ``<prefix>.<site>.<device_id>.<metric>``."""
    return f"{prefix}.{subject_token(site)}.{subject_token(device_id)}.{subject_token(metric)}"


def rfc3339(ts_us: int) -> str:
    """Timestamp with six decimals and ``Z``; ``ts_us`` within the years 1 to 9999."""
    moment = EPOCH + timedelta(microseconds=ts_us)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
