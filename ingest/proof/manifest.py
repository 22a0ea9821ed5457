"""The sender's manifest against what both sinks hold: sent = stored + refused, device by device."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ingest.errors import ContractError, SettingsError
from ingest.fingerprint import MASK, hexadecimal
from ingest.proof.dead_letters import DeadLetters
from ingest.proof.facts import Facts
from ingest.proof.findings import Finding, Problem
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


class Manifest(msgspec.Struct, frozen=True):
    """What a sender had acknowledged; other keys of the file are its own business."""

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
    facts: Facts, paths: Sequence[Path], upto: int
) -> tuple[ManifestResult, list[Finding]]:
    """Compares what the manifests say together with both sinks and the DLQ.

    Other senders may share the range of sequences, but not the devices.
    """
    missing = [name for name in READING if name not in {c.name for c in facts.contract.columns}]
    if missing:
        raise ContractError(f"a manifest needs the columns {', '.join(missing)} in the contract")
    manifests = [read_manifest(path) for path in paths]
    findings = _unusable(facts, manifests, paths, upto)
    wanted = _together(manifests)
    malformed = sum(sum(one.malformed.values()) for one in manifests)
    covered = _covered(manifests)
    stored: dict[str, int] = {}
    refused = 0
    if covered is not None:
        for side in (facts.hot, facts.lake):
            found = await asyncio.to_thread(side.groups, DEVICE, READING, covered)
            stored[side.name] = sum(found[name][0] for name in wanted if name in found)
            findings += _compare(side.name, wanted, found)
        letters = DeadLetters(facts.link, facts.lane).listed(covered)
        refused = len([key async for key, _ in letters])
    if refused != malformed:
        text = f"{malformed} malformed messages were sent, {refused} are in the DLQ"
        findings.append(_finding("dlq", text))
    sent = sum(rows for rows, _ in wanted.values())
    names = tuple(map(str, paths))
    return ManifestResult(names, len(wanted), sent, malformed, stored, refused), findings


def _unusable(
    facts: Facts, manifests: Sequence[Manifest], paths: Sequence[Path], upto: int
) -> list[Finding]:
    found: list[Finding] = []
    for path, one in zip(paths, manifests, strict=True):
        if one.messages and one.stream != facts.lane:
            found.append(_finding(NAME, f"{path} is of stream {one.stream}, not {facts.lane}"))
        if not one.complete or one.unknown:
            text = f"{path}: {one.unknown} messages have an unknown fate; the run was cut short"
            found.append(_finding(NAME, text))
        if (one.last_sequence or 0) > upto:
            text = f"{path} ends at {one.last_sequence}, both sinks have reached {upto}; wait"
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


def _covered(manifests: Sequence[Manifest]) -> SequenceRange | None:
    firsts = [one.first_sequence for one in manifests if one.first_sequence]
    lasts = [one.last_sequence for one in manifests if one.last_sequence]
    return SequenceRange(min(firsts), max(lasts)) if firsts else None


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
