"""Publishing while things break: nothing missing, nothing twice."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Any

import pytest

from simulator.errors import PublishStalledError
from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import Origin
from simulator.publisher import Publisher, PublishOptions, new_run_id

START_US = 1_795_000_000_000_000


def fleet(count: int, **changes: Any) -> Fleet:
    """A fleet of 30 devices."""
    return Fleet(FleetOptions(**{"start_us": START_US, "devices": 30, "count": count, **changes}))


def publisher(nats: Any, **changes: Any) -> Publisher:
    """A publisher that tries again soon."""
    options: dict[str, Any] = {"nats": nats, "patience_s": 15.0, "ack_timeout_s": 1.0}
    origin = Origin(new_run_id(), "readings", "readings", "fleet", 1)
    return Publisher(PublishOptions(**options | changes), origin)


def assert_exactly(found: list[Any], source: Fleet) -> None:
    """The stream holds each message of the source once."""
    expected = Counter((message.subject, message.payload) for message in source)

    assert Counter((message.subject, message.payload) for message in found) == expected


async def test_a_killed_server_loses_and_doubles_nothing(
    server: Any, make_stream: Any, stored: Any, running: Any, acknowledged: Any
) -> None:
    """Killed twice in mid-run and started again, the server ends with every message once."""
    await make_stream(server)
    source = fleet(12_000)
    one = publisher(server.settings())
    task = running(one.run(source))
    for count in (2_000, 6_000):
        await acknowledged(one, count)
        server.kill()
        await asyncio.to_thread(server.start)
    manifest = await task

    assert_exactly(await stored(server), source)
    assert manifest.complete
    assert manifest.messages == 12_000
    assert manifest.resent > 0


@pytest.mark.chaos
async def test_a_frozen_server_is_left_and_found_again(
    server: Any, make_stream: Any, stored: Any, running: Any, acknowledged: Any, wait_until: Any
) -> None:
    """A server that says nothing is given up like a broken line, and what it had is not doubled."""
    await make_stream(server)
    source = fleet(8_000)
    one = publisher(server.settings(), ack_timeout_s=0.2)
    task = running(one.run(source))
    await acknowledged(one, 2_000)
    server.send(signal.SIGSTOP)
    await wait_until(lambda: not one.stats().connected)
    server.send(signal.SIGCONT)
    manifest = await task

    assert_exactly(await stored(server), source)
    assert manifest.complete


async def lose_answers(cable: Any, one: Publisher, task: Any, wait_until: Any) -> None:
    """Lets the server store a window of messages whose acknowledgements never arrive."""
    await wait_until(lambda: one.stats().acknowledged >= 1_000)
    cable.deaf = True
    await wait_until(lambda: cable.swallowed >= 50)
    cable.unplug()
    await wait_until(lambda: not one.stats().connected)
    cable.deaf = False


async def test_lost_answers_within_the_duplicate_window_double_nothing(
    server: Any, make_stream: Any, stored: Any, running: Any, cable: Any, wait_until: Any
) -> None:
    """The server knows the ids of messages that are sent again, and says so."""
    await make_stream(server)
    source = fleet(8_000)
    one = publisher(cable.settings())
    task = running(one.run(source))
    await lose_answers(cable, one, task, wait_until)
    cable.plugged = True
    manifest = await task

    assert_exactly(await stored(server), source)
    assert manifest.complete
    assert manifest.acknowledged_as_duplicate >= 50
    assert manifest.resent >= manifest.acknowledged_as_duplicate


@pytest.mark.chaos
async def test_lost_answers_beyond_the_duplicate_window_double_nothing(
    server: Any, make_stream: Any, stored: Any, running: Any, cable: Any, wait_until: Any
) -> None:
    """When the server has forgotten the ids, the stream itself is asked before sending again."""
    await make_stream(server, duplicate_window=0.2)
    source = fleet(8_000)
    one = publisher(cable.settings())
    task = running(one.run(source))
    await lose_answers(cable, one, task, wait_until)
    cut = one.stats().elapsed_s
    await wait_until(lambda: one.stats().elapsed_s > cut + 0.5)
    cable.plugged = True
    manifest = await task

    assert_exactly(await stored(server), source)
    assert manifest.complete
    assert manifest.acknowledged_as_duplicate >= 50


@pytest.mark.chaos
async def test_without_ids_lost_answers_are_stored_twice_and_counted(
    server: Any, make_stream: Any, stored: Any, running: Any, cable: Any, wait_until: Any
) -> None:
    """Without message ids every message is there, some twice; ``resent`` says how many at most."""
    await make_stream(server)
    source = fleet(8_000)
    one = publisher(cable.settings(), message_ids=False)
    task = running(one.run(source))
    await lose_answers(cable, one, task, wait_until)
    cable.plugged = True
    manifest = await task
    extra = len(await stored(server)) - manifest.messages

    assert manifest.messages == 8_000
    assert 50 <= extra <= manifest.resent


@pytest.mark.chaos
async def test_a_server_that_stays_away_ends_the_run_with_the_unknown_counted(
    server: Any, make_stream: Any, running: Any, acknowledged: Any, wait_until: Any
) -> None:
    """After its patience the run fails; the manifest tells acknowledged from unknown."""
    await make_stream(server)
    one = publisher(server.settings(), patience_s=0.5, max_in_flight=500)
    task = running(one.run(fleet(1_000_000)))
    await acknowledged(one, 2_000)
    server.send(signal.SIGSTOP)
    await wait_until(lambda: one.stats().in_flight == 500)
    server.kill()
    with pytest.raises(PublishStalledError, match="unknown fate"):
        await task
    manifest = one.manifest()

    assert manifest.unknown > 0
    assert not manifest.complete
    assert not manifest.exhausted


async def test_a_publisher_waits_for_a_server_that_starts_later(
    server: Any, make_stream: Any, stored: Any, running: Any, wait_until: Any
) -> None:
    """A run may be started before the server: it connects when it can."""
    await make_stream(server)
    server.kill()
    one = publisher(server.settings())
    task = running(one.run(fleet(100)))
    await wait_until(lambda: one.stats().elapsed_s > 0.2)
    await asyncio.to_thread(server.start)

    assert (await task).messages == len(await stored(server)) == 100


async def test_a_paced_source_may_be_silent_for_longer_than_the_patience(
    server: Any, make_stream: Any
) -> None:
    """Patience counts from when something is in flight, not from the last message."""
    await make_stream(server)
    one = publisher(server.settings(), patience_s=0.2)
    manifest = await one.run(fleet(4, rate=2.0))

    assert manifest.messages == 4


async def test_stop_ends_the_source_and_settles_the_window(
    server: Any, make_stream: Any, stored: Any, running: Any, acknowledged: Any
) -> None:
    """After ``stop`` everything sent is acknowledged and nothing more is taken."""
    await make_stream(server)
    one = publisher(server.settings())
    task = running(one.run(fleet(1_000_000)))
    await acknowledged(one, 3_000)
    one.stop()
    manifest = await task

    assert manifest.complete
    assert not manifest.exhausted
    assert 3_000 <= manifest.messages == len(await stored(server)) < 1_000_000
