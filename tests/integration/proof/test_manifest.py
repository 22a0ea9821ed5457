"""What the simulator says it sent is what both sinks hold."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.integration.proof.scenario import proof, provision, store
from tests.support.lane import TestLane

COUNT = 3_000


@pytest.fixture
def sent(lane: TestLane) -> Path:
    """A simulated fleet with malformed, late and doubled messages, stored by both paths."""
    provision(lane)
    manifest = lane.folder / "manifest.json"
    arguments = ["run", "--count", str(COUNT), "--devices", "20", "--seed", "7"]
    arguments += ["--malformed", "2%", "--late", "2%", "--duplicates", "2%"]
    arguments += ["--subject-prefix", lane.subject_root, "--manifest", str(manifest)]
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=lane.folder,
        env=lane.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    store(lane, json.loads(manifest.read_text(encoding="utf-8"))["last_sequence"])
    return manifest


@pytest.fixture
def client(lane: TestLane) -> Iterator[Client]:
    """A client of the hot table's server."""
    connected = lane.clickhouse()
    yield connected
    connected.close()


def test_sent_is_stored(lane: TestLane, sent: Path) -> None:
    """Rows and fingerprints of every device agree with the manifest in both sinks."""
    report = proof(lane, manifests=(sent,))

    assert report["findings"] == []
    told = report["manifest"]
    assert told["devices"] == 20
    assert told["stored"] == {"clickhouse": told["sent"], "iceberg": told["sent"]}
    assert told["malformed"] == told["refused"] > 0


def test_a_manifest_that_was_changed_is_not_proven(lane: TestLane, sent: Path) -> None:
    """One reading more, another fingerprint, or another stream: each is named."""
    document: dict[str, Any] = json.loads(sent.read_text(encoding="utf-8"))
    first, second = sorted(document["devices"])[:2]
    document["devices"][first]["readings"] += 1
    document["devices"][second]["fingerprint"] = "0" * 16
    sent.write_text(json.dumps(document), encoding="utf-8")

    report = proof(lane, manifests=(sent,))

    assert not report["proven"]
    texts = [one["text"] for one in report["findings"]]
    assert len(texts) == 4
    assert any(first in text for text in texts)
    assert any(second in text for text in texts)


def test_a_row_missing_for_the_manifest_is_named(
    lane: TestLane, sent: Path, client: Client
) -> None:
    """A row dropped from ClickHouse shows in its device's count."""
    client.command(
        f"ALTER TABLE {lane.table} DELETE WHERE (_seq, _idx) IN"
        f" (SELECT _seq, _idx FROM {lane.table} ORDER BY _seq LIMIT 1)",
        settings={"mutations_sync": 2},
    )

    report = proof(lane, manifests=(sent,))

    assert {one["side"] for one in report["findings"]} == {"clickhouse"}
    assert any("sent" in one["text"] for one in report["findings"])


def test_a_broken_manifest_is_one_sentence(stored: TestLane) -> None:
    """A file that is no manifest ends with exit 2."""
    broken = stored.folder / "broken.json"
    broken.write_text("{}", encoding="utf-8")

    done = stored.ingest("verify", "--manifest", str(broken), check=False)

    assert done.returncode == 2
    assert "not a manifest" in done.stderr
