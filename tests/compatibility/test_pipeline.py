"""Every promise at once, on servers in other versions or of other makers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility.combination import Combination
from tests.compatibility.combinations import ALL
from tests.support.chaos import wait_said
from tests.support.lane import TestLane, Writer, reading

pytestmark = pytest.mark.timeout(600)

MESSAGES = 20_000
RATE = 1_500
MIDST = 3_000
NOTED = 200
NOTE = '\n[[columns]]\nname = "note"\ntype = "string"\n'


def _each(combinations: list[Combination]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "combination", combinations, indirect=True, ids=[one.name for one in combinations]
    )


@_each([one for one in ALL if not one.refused])
def test_what_was_sent_is_what_both_sinks_hold(
    combination: Combination, pipeline: TestLane, record_property: Callable[[str, object], None]
) -> None:
    """20,000 messages, a kill of each writer in mid-stream, a new column, and the proof."""
    pipeline.ingest("init")
    _expect_no_problem(pipeline)
    manifest = pipeline.folder / "manifest.json"
    of_lake = combination.lake_variables
    hot, lake = pipeline.start("hot"), pipeline.start("lake", **of_lake)
    for writer in (hot, lake):
        wait_said(writer, "listening", 60)
    with _simulator(pipeline, manifest) as simulator:
        pipeline.wait_hot(MIDST, 60)
        hot = _killed_and_restarted(pipeline, "hot", hot, simulator)
        pipeline.wait_lake(MIDST, 60)
        lake = _killed_and_restarted(pipeline, "lake", lake, simulator, **of_lake)
        for writer in (hot, lake):
            wait_said(writer, "writing", 60)
        _add_a_column(pipeline)
        assert simulator.wait(120) == 0, (pipeline.folder / "simulator.log").read_text()
    pipeline.publish(reading(n, note=f"note {n}") for n in range(NOTED))
    last = pipeline.state().last_seq
    pipeline.wait_hot(last, 60)
    pipeline.wait_lake(last, 60)

    assert (hot.drain(), lake.drain()) == (0, 0)

    assert _noted(pipeline) == (NOTED, NOTED)
    noted = _expect_no_problem(pipeline)
    how = _expect_proven(pipeline, manifest)
    record_property("notes", (*noted, f"the proof read the lake by {how}"))


@_each([one for one in ALL if one.refused])
def test_doctor_names_a_server_that_cannot_do_it(
    combination: Combination, pipeline: TestLane
) -> None:
    """The sentence says what to use instead."""
    done = pipeline.ingest("doctor", check=False)

    assert done.returncode == 1
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert any(combination.refused in line for line in problems), done.stdout


def _simulator(lane: TestLane, manifest: Path) -> subprocess.Popen[bytes]:
    arguments = ["run", "--count", str(MESSAGES), "--rate", str(RATE), "--devices", "50"]
    arguments += ["--malformed", "2%", "--late", "2%", "--duplicates", "2%", "--quiet"]
    arguments += ["--subject-prefix", lane.subject_root, "--contract", str(lane.contract_file)]
    with (lane.folder / "simulator.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "simulator", *arguments, "--manifest", str(manifest)],
            cwd=lane.folder,
            env=lane.env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _killed_and_restarted(
    lane: TestLane,
    path: str,
    writer: Writer,
    simulator: subprocess.Popen[bytes],
    **variables: str,
) -> Writer:
    """Another writer in the place of one that was killed before it had all messages."""
    writer.kill()
    assert writer.process.returncode == -signal.SIGKILL
    left = lane.state().last_seq - _done(lane, path)
    assert simulator.poll() is None or left > 0, f"{path} had stored everything before the kill"
    return lane.start(path, **variables)


def _done(lane: TestLane, path: str) -> int:
    """The last sequence that the path has on record."""
    if path == "hot":
        entry = lane.hot_entry()
        return entry.done.sequence if entry else 0
    sink = lane.sink()
    mark = sink.watermark(sink.load())
    return mark.sequence if mark else 0


def _add_a_column(lane: TestLane) -> None:
    text = lane.contract_file.read_text(encoding="utf-8")
    lane.contract_file.write_text(text + NOTE, encoding="utf-8")
    applied = json.loads(lane.ingest("schema", "apply", "--output", "json").stdout)
    assert applied["in_force"]["version"] == 2


def _noted(lane: TestLane) -> tuple[int, int]:
    """Rows that have the new column, in ClickHouse and in Iceberg."""
    client = lane.clickhouse()
    try:
        query = f"SELECT count() FROM {lane.table} WHERE note LIKE 'note %'"
        hot = int(client.query(query).result_rows[0][0])
    finally:
        client.close()
    fields = ("_seq", "note")  # of a file without any chosen column pyiceberg reads no row
    notes = lane.lake_table().scan(selected_fields=fields).to_arrow().column("note")
    return hot, len(notes) - notes.null_count


def _expect_no_problem(lane: TestLane) -> list[str]:
    """What the doctor notes all the same."""
    done = lane.ingest("doctor", "--output", "json", check=False)
    findings: list[dict[str, Any]] = json.loads(done.stdout)
    assert [one for one in findings if one["verdict"] == "problem"] == []
    assert done.returncode == 0, done.stderr
    noted = (one for one in findings if one["verdict"] == "note" and one["part"] != "Trino")
    return [f"doctor notes: {one['check']}" for one in noted]


def _expect_proven(lane: TestLane, manifest: Path) -> str:
    """How the lake was read."""
    done = lane.ingest("verify", "--manifest", str(manifest), "--output", "json", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["proven"], report
    sent = json.loads(manifest.read_text(encoding="utf-8"))
    assert sent["complete"]
    assert sum(sent["malformed"].values()) > 0
    return str(report["readers"]["iceberg"]).partition(" (")[0]
