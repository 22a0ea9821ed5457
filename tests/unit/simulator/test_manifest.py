"""The manifest: canonical bytes, sums, and the file."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh64

from simulator.manifest import (
    Lane,
    ManifestBuilder,
    Origin,
    canonical_reading,
    fingerprint,
    write_manifest,
)
from simulator.readings import Message, Reading

ORIGIN = Origin("run1", "readings", "readings", "fleet", 7)
MASK = 0xFFFFFFFFFFFFFFFF

readings = st.builds(
    Reading,
    device_id=st.text(max_size=8),
    site=st.text(max_size=4),
    metric=st.text(max_size=4),
    ts_us=st.integers(-(10**15), 10**16),
    value=st.floats(),
    unit=st.text(max_size=3),
)


def test_canonical_bytes_are_as_documented() -> None:
    """Lengths count UTF-8 bytes; ts is microseconds; value is the double's bits as int64."""
    reading = Reading("dév", "s", "temp", 1_795_000_000_000_001, -1.5, "")

    assert canonical_reading(reading) == (
        "4:dév1:s4:temp16:179500000000000120:-46139378182410731520:".encode()
    )
    assert struct.pack("<q", -4613937818241073152) == struct.pack("<d", -1.5)


@given(readings, readings)
def test_canonical_bytes_tell_readings_apart(one: Reading, other: Reading) -> None:
    """Different readings have different canonical bytes, equal bits have equal ones."""
    same = struct.pack("<d", one.value) == struct.pack("<d", other.value)
    equal = one._replace(value=0.0) == other._replace(value=0.0) and same

    assert (canonical_reading(one) == canonical_reading(other)) == equal


@given(readings)
def test_fingerprint_is_xxh64_of_the_canonical_bytes(reading: Reading) -> None:
    """Any XXH64 implementation with seed 0 gives the same number."""
    digest = xxh64(canonical_reading(reading)).digest()

    assert fingerprint(reading) == int.from_bytes(digest, "big")


def messages() -> list[Message]:
    """A hundred messages of three devices, some malformed or labelled."""
    rng = random.Random(1)
    made = [
        Message(f"s.{n}", b"x", f"d{n % 3}", 2, rng.getrandbits(64), rng.choice(["", "late"]))
        for n in range(90)
    ]
    return made + [Message("s", b"", "d9", 0, 0, "nan", malformed=True)] * 10


def test_totals_do_not_depend_on_order() -> None:
    """However acknowledgements come, counts and fingerprints are the same sums modulo 2^64."""
    forward, backward = ManifestBuilder(ORIGIN, stream="S"), ManifestBuilder(ORIGIN, stream="S")
    forward.acknowledge(messages(), {"S": range(5, 105)}, 0)
    for sequence, one in reversed(list(enumerate(messages(), 5))):
        backward.acknowledge([one], {"S": [sequence]}, 0)
    manifest = forward.build(exhausted=True, unknown=0)
    other = backward.build(exhausted=True, unknown=0)

    assert manifest.devices == other.devices
    assert (manifest.first_sequence, manifest.last_sequence) == (5, 104)
    assert (other.first_sequence, other.last_sequence) == (5, 104)
    assert manifest.readings == 180
    assert manifest.malformed == {"nan": 10}
    assert set(manifest.devices) == {"d0", "d1", "d2"}
    total = sum(message.fingerprint for message in messages() if message.device == "d0") & MASK
    assert manifest.devices["d0"] == {"readings": 60, "fingerprint": f"{total:016x}"}


@pytest.mark.parametrize(
    ("sequences", "whole"),
    [
        ({}, (None, None)),
        ({"READINGS": [9, 7, 8]}, (7, 9)),
        ({"READINGS": [9], "READINGS_1": [3, 4]}, (None, None)),
        ({"READINGS_1": [3, 4, 5]}, (None, None)),
    ],
)
def test_sequences_beside_the_stream_are_of_that_stream(
    sequences: dict[str, list[int]], whole: tuple[int | None, int | None]
) -> None:
    """They are there when it alone acknowledged; each lane has its own in any case."""
    builder = ManifestBuilder(ORIGIN, stream="READINGS")
    if sequences:
        builder.acknowledge(messages()[: sum(map(len, sequences.values()))], sequences, 0)
    manifest = builder.build(exhausted=True, unknown=0)

    assert (manifest.first_sequence, manifest.last_sequence) == whole
    assert manifest.lanes == {
        name: Lane(min(stored), max(stored), len(stored)) for name, stored in sequences.items()
    }
    assert sum(lane.messages for lane in manifest.lanes.values()) == manifest.messages


@pytest.mark.parametrize(
    ("unknown", "refused", "complete"), [(0, 0, True), (1, 0, False), (0, 1, False)]
)
def test_complete_means_that_every_message_was_acknowledged(
    unknown: int, refused: int, complete: bool
) -> None:
    """An unknown or refused message makes the manifest incomplete."""
    builder = ManifestBuilder(ORIGIN, refused=refused)

    assert builder.build(exhausted=True, unknown=unknown).complete is complete


def test_the_file_is_replaced_whole(tmp_path: Path) -> None:
    """Writing leaves one JSON document under the name and nothing beside it."""
    path = tmp_path / "m.json"
    path.write_text("old", encoding="utf-8")
    builder = ManifestBuilder(ORIGIN, stream="READINGS")
    builder.acknowledge([messages()[0]], {"READINGS": [12]}, 1)
    write_manifest(builder.build(exhausted=True, unknown=0), path)
    found = json.loads(path.read_text(encoding="utf-8"))

    assert [entry.name for entry in tmp_path.iterdir()] == ["m.json"]
    assert found["run_id"] == "run1"
    assert found["seed"] == 7
    assert found["acknowledged_as_duplicate"] == 1
    assert found["devices"]["d0"]["readings"] == 2
    assert found["lanes"] == {
        "READINGS": {"first_sequence": 12, "last_sequence": 12, "messages": 1}
    }


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """When the new file cannot take the name, the error comes up and no temporary file stays."""
    target = tmp_path / "folder"
    (target / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_manifest(ManifestBuilder(ORIGIN).build(exhausted=True, unknown=0), target)

    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
