"""The manifest: what JetStream acknowledged, in numbers that a sink's rows must add up to.

The fingerprint of a device is the sum modulo 2^64 of one XXH64 per reading, so it needs no order
and no memory, and any engine can compute it from the rows it holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from xxhash import xxh64_intdigest

from ingest.fingerprint import MASK, canonical_value
from simulator.readings import Message, Reading

FORMAT = 1


def canonical_reading(reading: Reading) -> bytes:
    """Bytes that identify a reading whatever engine holds it.

    ``<byte length>:<text>`` of device_id, site, metric, ts, value, unit, concatenated; a null is
    ``-``. Texts are UTF-8; ts is decimal microseconds since the Unix epoch; value is the signed
    decimal int64 that has the bits of the IEEE 754 double: the form of ``ingest.fingerprint``.
    """
    return b"".join([canonical_value(value) for value in reading])


def fingerprint(reading: Reading) -> int:
    """XXH64 (seed 0) of the canonical bytes, 0 to 2^64 - 1."""
    return xxh64_intdigest(canonical_reading(reading))


def now_text() -> str:
    """The current time, RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run's messages come from; goes into the manifest as it is."""

    run_id: str
    contract: str
    subject_prefix: str
    source: str
    seed: int | None = None


@dataclass(slots=True)
class Lane:
    """What one stream acknowledged: its sequences, inclusive, and how many messages."""

    first_sequence: int
    last_sequence: int
    messages: int = 0

    def add(self, sequences: Sequence[int]) -> None:
        """Counts these sequences too."""
        self.first_sequence = min(self.first_sequence, *sequences)
        self.last_sequence = max(self.last_sequence, *sequences)
        self.messages += len(sequences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Result of a run.

    ``messages`` were acknowledged, ``readings`` are those in the well-formed ones. ``complete``:
    every message that was sent was acknowledged, so the stream holds this and nothing more.
    ``exhausted``: the source was read to its end. ``unknown`` messages were sent but their
    acknowledgement never came: each may be stored or not; ``refused`` ones are not stored.
    ``resent`` counts second tries; ``acknowledged_as_duplicate`` those that the server had already.
    ``malformed`` counts by kind the messages that must be refused; ``labels`` the well-formed ones
    that were late, sent twice by the device, or caught up. ``devices`` maps each device to
    ``readings`` and ``fingerprint`` (16 hex digits).

    ``stream`` takes the subjects that the server does not map to another lane; ``lanes`` maps each
    stream that acknowledged messages to their first and last sequence and their number. The
    sequences beside ``stream`` are None when another stream, or none, acknowledged messages.
    """

    format: int
    origin: Origin
    stream: str
    started_at: str
    finished_at: str
    complete: bool
    exhausted: bool
    messages: int
    readings: int
    first_sequence: int | None
    last_sequence: int | None
    lanes: dict[str, Lane]
    resent: int
    acknowledged_as_duplicate: int
    refused: int
    unknown: int
    malformed: dict[str, int]
    labels: dict[str, int]
    devices: dict[str, dict[str, int | str]]

    def to_json(self) -> str:
        """JSON document with sorted keys; the origin's fields stand at the top level."""
        fields = asdict(self)
        origin = fields.pop("origin")
        return json.dumps(fields | origin, indent=1, sort_keys=True) + "\n"

    @property
    def malformed_messages(self) -> int:
        """Acknowledged messages that the pipeline must refuse."""
        return sum(self.malformed.values())


@dataclass(slots=True)
class ManifestBuilder:
    """Adds up acknowledged messages; memory grows with devices, never with messages."""

    origin: Origin
    stream: str = ""
    started_at: str = field(default_factory=now_text)
    messages: int = 0
    resent: int = 0
    refused: int = 0
    duplicates: int = 0
    lanes: dict[str, Lane] = field(default_factory=dict)
    malformed: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    devices: dict[str, list[int]] = field(default_factory=dict)

    def acknowledge(
        self, messages: Sequence[Message], sequences: Mapping[str, Sequence[int]], duplicates: int
    ) -> None:
        """Counts stored messages; ``sequences`` by stream, in any order.

        ``duplicates``: for how many of them the server said that it had them already.
        """
        devices = self.devices
        # Unpacked at once, for speed: the fields of Message in their order.
        for _, _, device, readings, digest, label, malformed, _ in messages:
            if malformed:
                self.malformed[label] += 1
                continue
            if label:
                self.labels[label] += 1
            totals = devices.get(device)
            if totals is None:
                totals = devices[device] = [0, 0]
            totals[0] += readings
            totals[1] += digest
        self.messages += len(messages)
        self.duplicates += duplicates
        for stream, stored in sequences.items():
            lane = self.lanes.get(stream)
            if lane is None:
                lane = self.lanes[stream] = Lane(stored[0], stored[0])
            lane.add(stored)

    def build(self, *, exhausted: bool, unknown: int) -> Manifest:
        """The manifest as of now."""
        own = self.lanes.get(self.stream) if len(self.lanes) == 1 else None
        return Manifest(
            format=FORMAT,
            origin=self.origin,
            stream=self.stream,
            started_at=self.started_at,
            finished_at=now_text(),
            complete=not unknown and not self.refused,
            exhausted=exhausted,
            messages=self.messages,
            readings=sum(count for count, _ in self.devices.values()),
            first_sequence=own.first_sequence if own else None,
            last_sequence=own.last_sequence if own else None,
            lanes={stream: replace(lane) for stream, lane in sorted(self.lanes.items())},
            resent=self.resent,
            acknowledged_as_duplicate=self.duplicates,
            refused=self.refused,
            unknown=unknown,
            malformed=dict(self.malformed),
            labels=dict(self.labels),
            devices={
                device: {"readings": count, "fingerprint": f"{total & MASK:016x}"}
                for device, (count, total) in self.devices.items()
            },
        )


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Writes the manifest so that a reader sees the old file or the whole new one.

    Raises OSError when the folder cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(manifest.to_json())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
