"""The sender's manifest against what both sinks hold: sent = stored + refused, device by device."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingest.errors import ContractError, SettingsError
from ingest.fingerprint import MASK, hexadecimal
from ingest.proof.dead_letters import DeadLetters
from ingest.proof.facts import Facts
from ingest.proof.findings import Finding, Problem
from ingest.proof.side import Groups
from ingest.ranges import SequenceRange

FORMAT = 1
READING = ("device_id", "site", "metric", "ts", "value", "unit")
DEVICE = "device_id"
MOST_NAMED = 20
NAME = "manifest"


class Device(msgspec.Struct, frozen=True):
    """What one device sent: rows and the sum of their hashes, 16 hex digits."""

    readings: int
    fingerprint: str


class Stretch(msgspec.Struct, frozen=True):
    """First and last sequence of a sender's messages in one lane."""

    first_sequence: int
    last_sequence: int


class Manifest(msgspec.Struct, frozen=True):
    """What a sender had acknowledged; other keys of the file are its own business.

    ``lanes`` by stream; a sender that knows only one leaves it out.
    """

    format: int
    stream: str
    complete: bool
    messages: int
    readings: int
    unknown: int
    malformed: dict[str, int]
    devices: dict[str, Device]
    first_sequence: int | None = None
    last_sequence: int | None = None
    lanes: dict[str, Stretch] = {}

    def stretches(self) -> dict[str, Stretch]:
        """Where its messages are, by stream."""
        if self.lanes or self.first_sequence is None or self.last_sequence is None:
            return self.lanes
        return {self.stream: Stretch(self.first_sequence, self.last_sequence)}


@dataclass(frozen=True)
class Compared:
    """A lane's facts, and the sequence that both of its sinks have reached."""

    facts: Facts
    upto: int


class ManifestResult(msgspec.Struct, frozen=True):
    """What was sent and what was found of it; ``stored`` is rows by sink."""

    files: tuple[str, ...]
    devices: int
    sent: int
    malformed: int
    stored: dict[str, int]
    refused: int


def read_manifest(path: Path) -> Manifest:
    """The manifest of a file. Raises SettingsError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise SettingsError(f"{path}: not a manifest of sensor-sim: {error}") from error
    if found.format != FORMAT:
        raise SettingsError(f"{path}: found format {found.format}, expected {FORMAT}")
    return found


async def check(
    lanes: Sequence[Compared], paths: Sequence[Path]
) -> tuple[ManifestResult, list[Finding]]:
    """Compares what the manifests say together with both sinks and the DLQ, over all the lanes.

    Other senders may share the ranges of sequences, but not the devices.
    """
    columns = [column.name for lane in lanes for column in lane.facts.contract.columns]
    missing = [name for name in READING if lanes and name not in columns]
    if missing:
        raise ContractError(f"a manifest needs the columns {', '.join(missing)} in the contract")
    manifests = [read_manifest(path) for path in paths]
    findings = _unusable(lanes, manifests, paths)
    wanted = _together(manifests)
    malformed = sum(sum(one.malformed.values()) for one in manifests)
    found: dict[str, Groups] = {}
    refused = 0
    for lane in lanes:
        covered = _covered(manifests, lane.facts.lane)
        if covered is None:
            continue
        for side in (lane.facts.hot, lane.facts.lake):
            groups = await asyncio.to_thread(side.groups, DEVICE, READING, covered)
            _add(found.setdefault(side.name, {}), groups)
        letters = DeadLetters(lane.facts.link, lane.facts.lane).listed(covered)
        refused += len([key async for key, _ in letters])
    stored = {
        side: sum(groups[name][0] for name in wanted if name in groups)
        for side, groups in found.items()
    }
    for name, groups in found.items():
        findings += _compare(name, wanted, groups)
    if refused != malformed:
        text = f"{malformed} malformed messages were sent, {refused} are in the DLQ"
        findings.append(_finding("dlq", text))
    sent = sum(rows for rows, _ in wanted.values())
    names = tuple(map(str, paths))
    return ManifestResult(names, len(wanted), sent, malformed, stored, refused), findings


def _unusable(
    lanes: Sequence[Compared], manifests: Sequence[Manifest], paths: Sequence[Path]
) -> list[Finding]:
    found: list[Finding] = []
    uptos = {lane.facts.lane: lane.upto for lane in lanes}
    for path, one in zip(paths, manifests, strict=True):
        for stream, stretch in one.stretches().items():
            upto = uptos.get(stream)
            if upto is None:
                found.append(
                    _finding(NAME, f"{path} is of stream {stream}, not {', '.join(uptos)}")
                )
            elif stretch.last_sequence > upto:
                text = (
                    f"{path} ends at {stretch.last_sequence} of {stream}, both sinks have reached"
                    f" {upto}; wait"
                )
                found.append(_finding(NAME, text))
        if not one.complete or one.unknown:
            text = f"{path}: {one.unknown} messages have an unknown fate; the run was cut short"
            found.append(_finding(NAME, text))
    return found


def _together(manifests: Sequence[Manifest]) -> dict[str, tuple[int, int]]:
    rows: Counter[str] = Counter()
    hashes: Counter[str] = Counter()
    for one in manifests:
        for name, device in one.devices.items():
            rows[name] += device.readings
            hashes[name] += int(device.fingerprint, 16)
    return {name: (rows[name], hashes[name] & MASK) for name in rows}


def _covered(manifests: Sequence[Manifest], lane: str) -> SequenceRange | None:
    found = [one.stretches()[lane] for one in manifests if lane in one.stretches()]
    if not found:
        return None
    last = max(one.last_sequence for one in found)
    return SequenceRange(min(one.first_sequence for one in found), last)


def _add(into: Groups, more: Groups) -> None:
    for name, (rows, hashes) in more.items():
        before = into.get(name, (0, 0))
        into[name] = (before[0] + rows, (before[1] + hashes) & MASK)


def _compare(
    side: str, wanted: dict[str, tuple[int, int]], found: dict[str, tuple[int, int]]
) -> list[Finding]:
    wrong = sorted(name for name in wanted if wanted[name] != found.get(name, (0, 0)))
    findings = []
    for name in wrong[:MOST_NAMED]:
        (rows, hashes), (have, other) = wanted[name], found.get(name, (0, 0))
        text = (
            f"device {name}: sent {rows} readings ({hexadecimal(hashes)}), stored {have}"
            f" ({hexadecimal(other)})"
        )
        findings.append(_finding(side, text))
    if len(wrong) > MOST_NAMED:
        findings.append(_finding(side, f"{len(wrong) - MOST_NAMED} more devices differ"))
    return findings


def _finding(side: str, detail: str) -> Finding:
    return Finding(side, Problem.DIFFERS, "", (), detail)
