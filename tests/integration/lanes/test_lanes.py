"""Several lanes of one contract on real servers: chosen by NATS, written and proven each."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from devstack.nats import change_mappings
from devstack.state import State
from devstack.supervisor import SERVICES, Devstack, place_of
from ingest import doctor_nats
from ingest.doctor import examine_lanes
from ingest.lane_mapping import wrong_mappings
from ingest.lanes import Mapping, each_lane, mappings, mappings_block
from ingest.nats_link import NatsLink
from ingest.status import lane_status
from tests.support.lane import TestLane, Writer, reading
from tests.support.waiting import until

MALFORMED = 0.02


@pytest.fixture(scope="module")
def mapped_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """A platform whose server's mappings the tests change."""
    with Devstack(tmp_path_factory.mktemp("mapped"), ephemeral_ports=True) as running:
        yield running


@pytest.fixture
def laned(mapped_stack: Devstack, tmp_path: Path) -> Iterator[TestLane]:
    """A contract of three lanes; nothing is made or mapped yet."""
    with TestLane(mapped_stack, tmp_path, secrets.token_hex(4)) as fresh:
        fresh.overrides |= {
            "IOT_LANES__COUNT": "3",
            "IOT_LANES__BY": f"{fresh.subject_root}.*.*.>",
        }
        yield fresh
    put(mapped_stack, "")


def put(stack: Devstack, block: str) -> None:
    """Gives the running server other mappings."""
    place = place_of(SERVICES["nats"], stack.directory, State.load(stack.directory))
    change_mappings(place, block, stack.pid("nats"))


def needed(lane: TestLane, count: int | None = None) -> list[Mapping]:
    """The mappings of so many lanes."""
    settings = lane.settings
    if count is not None:
        chosen = settings.lanes.model_copy(update={"count": count})
        settings = settings.model_copy(update={"lanes": chosen})
    return mappings(settings)


def wait_for(lane: TestLane, mapped: list[Mapping]) -> None:
    """Waits until the server maps so; it reloads behind a signal."""
    until(lambda: not lane.run_async(lambda link: wrong_mappings(link, mapped)), "the mapping")


def spread(stack: Devstack, lane: TestLane, count: int) -> None:
    """Maps the messages to so many lanes."""
    mapped = needed(lane, count)
    put(stack, mappings_block(mapped))
    wait_for(lane, mapped)


def test_the_server_chooses_the_lane_that_we_compute(
    mapped_stack: Devstack, laned: TestLane
) -> None:
    """`init` makes the streams, tells what is missing, and then that nothing is."""
    told = laned.ingest("init").stdout
    assert "missing subject mapping" in told
    block = laned.ingest("lanes").stdout
    assert block in told
    put(mapped_stack, block)
    wait_for(laned, needed(laned))
    assert "there   subject mapping" in laned.ingest("init").stdout
    found = json.loads(laned.ingest("doctor", "--output", "json").stdout)
    assert [one["verdict"] for one in found if one["check"] == "subject mapping"] == ["ok"]


def test_another_mapping_is_told(mapped_stack: Devstack, laned: TestLane) -> None:
    """Other tokens, or another number of lanes, are not what the settings say."""
    laned.ingest("init")
    (right,) = needed(laned)
    for wrong in (
        Mapping(right.stream, right.source, 2),
        Mapping(right.stream, right.source.replace("*.*", "*.probe"), 3),
    ):
        put(mapped_stack, mappings_block([wrong]))
        wait_for(laned, [wrong])
        (problem,) = laned.run_async(lambda link: wrong_mappings(link, [right]))
        assert problem.startswith(f"{right.source}: ")
    found = laned.ingest("doctor", "--output", "json", check=False).stdout
    notes = [one for one in json.loads(found) if one["check"] == "subject mapping"]
    assert {one["verdict"] for one in notes} == {"note"}


def test_asking_for_the_lane_stores_nothing(mapped_stack: Devstack, laned: TestLane) -> None:
    """Neither where the mapping is in force nor where it is not."""
    laned.ingest("init")
    spread(mapped_stack, laned, 3)
    assert laned.state().messages == 0


def test_the_mapping_is_asked_once_for_all_lanes(
    mapped_stack: Devstack, laned: TestLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor looks at every lane, and probes the server no more often than for one."""
    laned.ingest("init")
    spread(mapped_stack, laned, 3)
    asked: list[int] = []

    async def counted(link: NatsLink, needed: Sequence[Mapping]) -> list[str]:
        asked.append(len(needed))
        return await wrong_mappings(link, needed)

    monkeypatch.setattr(doctor_nats, "wrong_mappings", counted)
    found = asyncio.run(examine_lanes(each_lane(laned.settings)))

    assert asked == [1]
    assert {one.check for one in found} >= {
        "subject mapping",
        *(f"stream {laned.stream}{ending}" for ending in ("", "_1", "_2")),
    }


def test_lanes_are_written_and_proven_together(mapped_stack: Devstack, laned: TestLane) -> None:
    """Every reading of every lane once, also after one lane's writer was killed at work."""
    laned.ingest("init")
    spread(mapped_stack, laned, 3)
    writers = laned.start("all", IOT_HOT__BATCH_MAX_ROWS="500")
    manifest = laned.folder / "manifest.json"
    sensors = fleet(laned, manifest, count=20_000, rate=4_000)
    victim = until(lambda: pid_of(writers.said("started"), "hot of lane 1"), "a writer of lane 1")
    until(lambda: writers.said("batch"), "a batch")
    kill(victim)
    assert sensors.wait(60) == 0
    wait_all(laned, manifest)
    assert writers.drain() == 0

    proof = json.loads(
        laned.ingest("verify", "--manifest", str(manifest), "--output", "json").stdout
    )
    assert proof["proven"]
    rows = [lane["rows"] for lane in proof["lanes"]]
    assert len(rows) == 3
    assert min(rows) > 0
    assert sum(rows) == proof["manifest"]["sent"] == proof["manifest"]["stored"]["clickhouse"]
    assert proof["manifest"]["refused"] == proof["manifest"]["malformed"] > 0


@pytest.mark.chaos
def test_the_number_of_lanes_changes_while_sensors_send(
    mapped_stack: Devstack, laned: TestLane
) -> None:
    """One stream becomes three lanes, then two: nothing is lost and nothing comes twice."""
    laned.ingest("init", IOT_LANES__COUNT="1")
    first = laned.start("all", IOT_LANES__COUNT="1")
    manifest = laned.folder / "manifest.json"
    sensors = fleet(laned, manifest, rate=1_000)
    until(lambda: first.said("batch"), "a batch")
    assert first.drain() == 0

    laned.ingest("init")
    writers = laned.start("all")
    until(lambda: writers.said("batch"), "a batch of the single stream")
    spread(mapped_stack, laned, 3)
    until(lambda: len(lanes_of(writers.said("batch"))) == 3, "batches of three lanes")
    spread(mapped_stack, laned, 2)
    seen = len(writers.said("batch"))
    until(lambda: len(writers.said("batch")) > seen, "a batch after it")
    sensors.process.send_signal(signal.SIGINT)
    assert sensors.wait(60) == 0
    wait_all(laned, manifest)
    assert writers.drain() == 0
    proof = json.loads(
        laned.ingest("verify", "--manifest", str(manifest), "--output", "json").stdout
    )
    assert proof["proven"]
    assert sum(lane["rows"] for lane in proof["lanes"]) == proof["manifest"]["sent"]
    assert set(json.loads(manifest.read_bytes())["lanes"]) == {
        laned.stream,
        f"{laned.stream}_1",
        f"{laned.stream}_2",
    }


def test_a_mapping_is_taken_away(mapped_stack: Devstack, laned: TestLane) -> None:
    """An empty block, as for a single lane, leaves every message to the first stream."""
    laned.ingest("init")
    spread(mapped_stack, laned, 3)
    put(mapped_stack, laned.ingest("lanes", IOT_LANES__COUNT="1").stdout)
    until(lambda: laned.run_async(lambda link: wrong_mappings(link, needed(laned))), "no mapping")


def test_a_refused_message_is_replayed_into_its_own_lane(
    mapped_stack: Devstack, laned: TestLane
) -> None:
    """Whatever the server maps by then."""
    laned.ingest("init")
    spread(mapped_stack, laned, 3)
    (mapping,) = needed(laned)
    places = (f"s.d{number}.m" for number in range(100))
    subject = next(one for one in places if mapping.lane_of(f"{laned.subject_root}.{one}") == 2)
    laned.publish([b"not json", reading(1)], subject=subject)
    writer = laned.start("hot", "--lane", "2")
    until(lambda: [one for one in writer.said("batch") if one["refused"]], "a refusal")
    assert writer.drain() == 0
    put(mapped_stack, "")
    (told,) = json.loads(
        laned.ingest(
            *("dlq", "replay", "1", "--lane", "2", "--even-if-refused", "--output", "json")
        ).stdout
    )
    assert told["what"] == "replayed"
    assert told["detail"] == "as 3"


def test_a_lane_must_be_named_where_one_is_meant(laned: TestLane) -> None:
    """Exit 2 and one sentence, before anything is asked."""
    for arguments, sentence in (
        (("explain", "1"), "there are 3 lanes; say which with --lane 0 to 2"),
        (("explain", "1", "--lane", "3"), "found 3, expected less than lanes.count, which is 3"),
        (("verify", "--upto", "5"), "--upto is a sequence of one lane"),
    ):
        done = laned.ingest(*arguments, check=False)
        assert done.returncode == 2
        assert sentence in done.stderr


def fleet(lane: TestLane, manifest: Path, *, rate: int, count: int | None = None) -> Writer:
    """sensor-sim on the contract's subjects; it ends with the lane."""
    command = [sys.executable, "-m", "simulator", "run", "--devices", "60", "--quiet"]
    command += ["--count", str(count)] if count else ["--duration", "300"]
    command += ["--rate", str(rate), "--malformed", str(MALFORMED)]
    command += ["--subject-prefix", lane.subject_root, "--manifest", str(manifest)]
    log = lane.folder / "fleet.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=lane.folder, env=lane.env, stdout=output, stderr=subprocess.STDOUT
        )
    sensors = Writer(process, log)
    lane.writers.append(sensors)
    return sensors


def pid_of(started: list[dict[str, object]], path: str) -> int | None:
    """The process id of a writer under the supervisor."""
    return next((int(str(one["pid"])) for one in started if one["path"] == path), None)


def kill(pid: int) -> None:
    """Ends a writer as a crash would."""
    os.kill(pid, signal.SIGKILL)


def lanes_of(batches: list[dict[str, object]]) -> set[object]:
    """Lanes of which a batch was stored."""
    return {one["lane"] for one in batches}


def wait_all(lane: TestLane, manifest: Path) -> None:
    """Waits until both sinks of every lane have what was acknowledged."""
    wanted = json.loads(manifest.read_bytes())["lanes"]

    def stored() -> bool:
        found = [asyncio.run(lane_status(one)) for one in each_lane(lane.settings)]
        return all(
            path is not None and path.position >= wanted[one.lane]["last_sequence"]
            for one in found
            if one.lane in wanted
            for path in (one.hot, one.lake)
        )

    until(stored, "both sinks at the end", 60, every_s=0.5)
