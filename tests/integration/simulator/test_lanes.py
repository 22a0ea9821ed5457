"""A server that spreads the subjects over several streams: nothing missing, nothing twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.errors import PublishRefusedError
from simulator.fleet import Fleet
from simulator.publisher import Publisher
from tests.integration.simulator.spread import LANES, fleet, make_lanes, mapping, publisher


@pytest.fixture
def held(stored: Any) -> Callable[[Any], Awaitable[dict[str, list[Any]]]]:
    """Reads back all messages by lane."""

    async def read(server: Any) -> dict[str, list[Any]]:
        return {name: await stored(server, name) for name in LANES}

    return read


def assert_exactly(lanes: dict[str, list[Any]], source: Fleet) -> None:
    """The lanes hold together each message of the source once, under its own subject."""
    expected = Counter((message.subject, message.payload) for message in source)
    found = Counter((one.subject, one.payload) for lane in lanes.values() for one in lane)

    assert found == expected


async def test_the_manifest_counts_each_lane(server: Any, held: Any) -> None:
    """Each lane's messages and sequences are what its stream holds; all lanes are used."""
    await make_lanes(server)
    server.reload(mapping(3))
    source = fleet(6_000, malformed=0.02, duplicates=0.02)
    manifest = await publisher(server.settings()).run(source)
    lanes = await held(server)

    assert_exactly(lanes, source)
    assert {name: lane.messages for name, lane in manifest.lanes.items()} == {
        name: len(found) for name, found in lanes.items()
    }
    assert all(
        (lane.first_sequence, lane.last_sequence) == (1, lane.messages)
        for lane in manifest.lanes.values()
    )
    assert min(lane.messages for lane in manifest.lanes.values()) > 0
    assert sum(lane.messages for lane in manifest.lanes.values()) == manifest.messages
    assert manifest.stream == "READINGS"
    assert (manifest.first_sequence, manifest.last_sequence) == (None, None)
    where = defaultdict(set)
    for name, found in lanes.items():
        for message in found:
            where[message.subject.rpartition(".")[0]].add(name)
    assert all(len(names) == 1 for names in where.values())


async def test_the_result_names_the_lanes(server: Any, sensor_sim: Any, tmp_path: Path) -> None:
    """The text has each lane's messages, the JSON is the manifest with them."""
    await make_lanes(server)
    server.reload(mapping(3))
    arguments = ["run", "--count", "600", "--quiet", "--url", server.url, "--manifest", "m.json"]
    process = sensor_sim(*arguments)
    out, _ = await asyncio.to_thread(process.communicate, None, 30)
    manifest = json.loads((tmp_path / "m.json").read_text())
    counts = ", ".join(f"{name} {manifest['lanes'][name]['messages']}" for name in LANES)

    assert process.returncode == 0
    assert out.startswith(f"600 messages acknowledged by 3 lanes ({counts}): 600 readings")
    assert manifest["format"] == 1
    assert manifest["last_sequence"] is None


async def test_a_full_lane_is_named(server: Any, make_stream: Any) -> None:
    """The refusal of one lane says which it was."""
    await make_lanes(server)
    await make_stream(server, name="FULL", subjects=["full.>"], max_msgs=1, discard="new")
    server.reload('mappings = { "readings.*.*.>": "full.{{wildcard(1)}}.{{wildcard(2)}}.>" }\n')
    with pytest.raises(PublishRefusedError, match="stream FULL refused a message on readings"):
        await publisher(server.settings()).run(fleet(50))


async def test_killed_servers_lose_and_double_nothing(
    server: Any, held: Any, running: Any, acknowledged: Any, wait_until: Any
) -> None:
    """Killed at load, and started again when every lane has forgotten the ids."""
    await make_lanes(server, duplicate_window_s=0.2)
    server.reload(mapping(3))
    source = fleet(12_000)
    one = publisher(server.settings())
    task = running(one.run(source))
    for count in (2_000, 6_000):
        await acknowledged(one, count)
        server.kill()
        killed = one.stats().elapsed_s
        await wait_until(lambda since=killed: one.stats().elapsed_s > since + 0.5)
        await asyncio.to_thread(server.start)
    manifest = await task

    assert_exactly(await held(server), source)
    assert manifest.complete
    assert manifest.messages == 12_000


async def lose_answers(cable: Any, one: Publisher, wait_until: Any) -> None:
    """Lets the server store messages whose acknowledgements never arrive; unplugs."""
    await wait_until(lambda: one.stats().acknowledged >= 1_000)
    cable.deaf = True
    await wait_until(lambda: cable.swallowed >= 50)
    cable.unplug()
    await wait_until(lambda: not one.stats().connected)
    cable.deaf = False


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("before", "after", "window_s", "kill"),
    [
        ("", mapping(3), 60.0, False),
        (mapping(3), mapping(3, "2"), 60.0, True),
        (mapping(3), mapping(3, "2"), 0.2, False),
        (mapping(3), mapping(3), 0.2, True),
    ],
    ids=["first mapping", "other mapping, killed", "other mapping, ids forgotten", "killed"],
)
async def test_lost_answers_double_nothing_whatever_the_mapping_is_then(
    server: Any,
    held: Any,
    running: Any,
    cable: Any,
    wait_until: Any,
    before: str,
    after: str,
    window_s: float,
    kill: bool,
) -> None:
    """What one lane stored is not sent again to the other that now takes its subject.

    Neither within the duplicate window, which is each lane's own, nor beyond it.
    """
    await make_lanes(server, duplicate_window_s=window_s)
    server.reload(before)
    source = fleet(8_000)
    one = publisher(cable.settings())
    task = running(one.run(source))
    await lose_answers(cable, one, wait_until)
    if kill:
        server.kill()
        server.config = after
        await asyncio.to_thread(server.start)
    else:
        await asyncio.to_thread(server.reload, after)
    cut = one.stats().elapsed_s
    await wait_until(lambda: one.stats().elapsed_s > cut + 0.4)
    cable.plugged = True
    manifest = await task

    assert_exactly(await held(server), source)
    assert manifest.complete
    assert manifest.messages == 8_000
    assert manifest.acknowledged_as_duplicate >= 50
    assert set(manifest.lanes) == set(LANES)


async def test_a_mapping_that_changes_under_load_loses_and_doubles_nothing(
    server: Any, held: Any, running: Any, acknowledged: Any
) -> None:
    """Reloads while messages flow, with tries so impatient that many are made again."""
    await make_lanes(server)
    source = fleet(16_000)
    one = publisher(server.settings(), ack_timeout_s=0.05)
    task = running(one.run(source))
    for step, config in enumerate([mapping(3), mapping(2), mapping(3, "2"), mapping(3)], 1):
        await acknowledged(one, step * 3_000)
        await asyncio.to_thread(server.reload, config)
    manifest = await task

    assert_exactly(await held(server), source)
    assert manifest.complete
    assert set(manifest.lanes) == set(LANES)
