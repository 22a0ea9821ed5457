"""What a simulated fleet sent into a lane, and the proof that both sinks hold just that."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from ingest.verify import VerifyOptions, verify
from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import Origin, write_manifest
from simulator.publisher import PublishOptions, new_run_id, publish
from tests.support.lane import TestLane


@dataclass(frozen=True)
class Sent:
    """A finished run: its manifest, and the stream's last sequence."""

    manifest: Path
    last_sequence: int
    refused: int


def send(lane: TestLane, count: int) -> Sent:
    """Publishes ``count`` readings, some malformed, late or doubled, each acknowledged."""
    options = FleetOptions(
        start_us=0,
        count=count,
        devices=20,
        malformed=0.02,
        late=0.02,
        duplicates=0.02,
        subject_prefix=lane.subject_root,
    ).starting(None, now_us=time.time_ns() // 1000)
    prefix = lane.subject_root
    origin = Origin(
        run_id=new_run_id(), contract=lane.contract.name, subject_prefix=prefix, source="test"
    )
    nats = PublishOptions(nats=lane.settings.nats)
    manifest = asyncio.run(publish(Fleet(options), nats, origin))
    assert manifest.complete
    assert manifest.last_sequence is not None
    path = lane.folder / "manifest.json"
    write_manifest(manifest, path)
    return Sent(path, manifest.last_sequence, manifest.malformed_messages)


def expect_proven(lane: TestLane, sent: Sent) -> None:
    """Stream, both sinks, rollup, dead letters and the sender's manifest agree exactly."""
    options = VerifyOptions(manifests=(sent.manifest,))
    report = asyncio.run(verify(lane.settings, options, _Unseen()))
    assert report.proven, report.as_dict()
    assert sent.refused > 0


class _Unseen:
    """Progress that nobody looks at."""

    def start(self, sequences: int) -> None:
        """Nothing to show."""

    def advance(self, sequences: int) -> None:
        """Nothing to show."""
