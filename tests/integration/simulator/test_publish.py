"""Publishing to a real server: what is acknowledged is what the stream holds."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash

from ingest.contract import load_contract
from ingest.decode import Decoder
from ingest.errors import SettingsError
from ingest.messages import Messages
from ingest.ranges import SequenceRange
from simulator.errors import CsvError, PublishRefusedError, PublishStalledError
from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import Origin
from simulator.publisher import Publisher, PublishOptions, new_run_id, publish
from simulator.readings import Message

FAULTS: dict[str, Any] = {"malformed": 0.05, "late": 0.1, "duplicates": 0.1, "dropouts": 0.1}


def fleet(count: int, **changes: Any) -> Fleet:
    """A fleet of 30 devices whose last reading is now."""
    options = FleetOptions(**{"start_us": 0, "devices": 30, "count": count, **changes})
    return Fleet(options.starting(None, now_us=time.time_ns() // 1_000))


def origin() -> Origin:
    """A run of its own."""
    return Origin(new_run_id(), "readings", "readings", "fleet", 1)


def options(server: Any, **changes: Any) -> PublishOptions:
    """Options that give up soon."""
    return PublishOptions(**{"nats": server.settings(), "patience_s": 10.0, **changes})


def recount(messages: list[Any]) -> tuple[dict[str, dict[str, int | str]], int]:
    """Readings and fingerprint of each device, and refused messages, from what is stored."""
    columns = Messages(
        np.array([m.sequence for m in messages]),
        np.array([m.stored_at_ns for m in messages]),
        [m.subject for m in messages],
        [m.payload for m in messages],
        SequenceRange(messages[0].sequence, messages[-1].sequence),
    )
    decoded = Decoder(load_contract("readings"), lane="READINGS").decode(columns, "e1")
    totals: dict[str, list[int]] = {}
    rows = decoded.batch.to_pydict()
    ts_us = decoded.batch.column("ts").cast("int64").to_pylist()
    for index, device in enumerate(rows["device_id"]):
        bits = struct.unpack("<q", struct.pack("<d", rows["value"][index]))[0]
        texts = [device, rows["site"][index], rows["metric"][index], ts_us[index], bits]
        texts = [str(text).encode() for text in [*texts, rows["unit"][index]]]
        total = totals.setdefault(device, [0, 0])
        total[0] += 1
        total[1] += xxhash.xxh64_intdigest(b"".join(b"%d:%b" % (len(t), t) for t in texts))
    devices: dict[str, dict[str, int | str]] = {
        device: {"readings": count, "fingerprint": f"{total % 2**64:016x}"}
        for device, (count, total) in totals.items()
    }
    return devices, len(decoded.refused)


@pytest.mark.parametrize(("payload", "rows"), [("json", 1), ("array", 20), ("arrow", 20)])
async def test_the_manifest_equals_a_recount_of_the_stream(
    server: Any, make_stream: Any, stored: Any, payload: str, rows: int
) -> None:
    """Counts, refused messages and fingerprints are those that the contract's decoder finds."""
    await make_stream(server)
    source = fleet(6_000 * rows // 4 or 1, payload=payload, rows_per_message=rows, **FAULTS)
    manifest = await publish(source, options(server), origin())
    found = await stored(server)
    devices, refused = recount(found)

    assert manifest.complete
    assert manifest.exhausted
    assert manifest.stream == "READINGS"
    assert len(found) == manifest.messages
    assert (found[0].sequence, found[-1].sequence) == (
        manifest.first_sequence,
        manifest.last_sequence,
    )
    assert devices == manifest.devices
    assert refused == manifest.malformed_messages > 0
    assert sum(int(d["readings"]) for d in devices.values()) == manifest.readings


async def test_stored_messages_are_the_fleet_s_in_order(
    server: Any, make_stream: Any, stored: Any
) -> None:
    """Subjects and payloads arrive byte for byte, in order, each with its own id."""
    await make_stream(server)
    source = fleet(3_000, **FAULTS)
    run = origin()
    await publish(source, options(server), run)
    found = await stored(server)

    assert [(m.subject, m.payload) for m in found] == [(m.subject, m.payload) for m in source]
    ids = [m.headers["Nats-Msg-Id"] for m in found]
    assert ids == [f"{run.run_id}-{n}" for n in range(1, len(found) + 1)]


async def test_without_ids_messages_have_no_header(
    server: Any, make_stream: Any, stored: Any
) -> None:
    """``message_ids=False`` publishes plain messages."""
    await make_stream(server)
    manifest = await publish(fleet(500), options(server, message_ids=False), origin())
    found = await stored(server)

    assert len(found) == manifest.messages == 500
    assert not any(m.headers for m in found)


async def test_a_second_run_with_the_same_seed_is_stored_too(
    server: Any, make_stream: Any, stored: Any
) -> None:
    """The run id keeps the server from taking a second run for a repetition of the first."""
    await make_stream(server)
    source = fleet(1_000)
    first = await publish(source, options(server), origin())
    second = await publish(source, options(server), origin())

    assert len(await stored(server)) == 2_000
    assert second.first_sequence == 1_001
    assert first.devices == second.devices
    assert second.acknowledged_as_duplicate == 0


async def test_the_window_bounds_what_is_in_flight(server: Any, make_stream: Any) -> None:
    """Never more than ``max_in_flight`` messages wait, down to one at a time."""
    await make_stream(server)
    for most in (1, 7):
        manifest = await publish(fleet(200), options(server, max_in_flight=most), origin())
        assert manifest.messages == 200
        assert manifest.complete


async def test_a_window_beyond_the_server_s_queue_loses_nothing(
    make_server: Any, make_stream: Any, stored: Any
) -> None:
    """A server that refuses for too many requests gets the message again."""
    busy = make_server(config="jetstream { max_buffered_msgs: 10 }\n")
    await make_stream(busy)
    manifest = await publish(fleet(1_000), options(busy, max_in_flight=300), origin())

    assert manifest.complete
    assert manifest.messages == len(await stored(busy)) == 1_000
    assert manifest.resent > 0


async def test_a_paced_run_takes_its_time(server: Any, make_stream: Any) -> None:
    """At a rate the last message is sent when it is due."""
    await make_stream(server)
    started = time.monotonic()
    manifest = await publish(fleet(200, rate=400.0), options(server), origin())

    assert manifest.messages == 200
    assert 0.49 < time.monotonic() - started < 3.0


async def test_a_full_stream_is_refused_loudly(server: Any, make_stream: Any, stored: Any) -> None:
    """A stream that discards new messages ends the run; the manifest has what was stored."""
    await make_stream(server, max_msgs=1_234, discard="new")
    publisher = Publisher(options(server), origin())
    with pytest.raises(PublishRefusedError, match=r"READINGS refused .*maximum messages exceeded"):
        await publisher.run(fleet(5_000))
    manifest = publisher.manifest()

    assert len(await stored(server)) == manifest.messages == 1_234
    assert manifest.refused > 0
    assert manifest.unknown == 0
    assert not manifest.complete


async def test_no_stream_is_refused_at_once(server: Any) -> None:
    """A subject that no stream takes is one sentence, without waiting."""
    with pytest.raises(PublishRefusedError, match=r"no stream takes the subject readings\."):
        await publish(fleet(10), options(server), origin())


async def test_a_server_without_jetstream_is_named(make_server: Any) -> None:
    """Where nobody answers JetStream's API the run gives up after its patience."""
    plain = make_server(jetstream=False)
    with pytest.raises(PublishStalledError, match="is it enabled"):
        await publish(fleet(10), options(plain, patience_s=0.3), origin())


async def test_a_message_beyond_max_payload_is_refused_before_it_is_sent(
    make_server: Any, make_stream: Any, stored: Any
) -> None:
    """A message too large for the server ends the run; those before it are stored."""
    small = make_server(config="max_payload: 4096\n")
    await make_stream(small)

    def messages() -> Iterator[Message]:
        for size in (10, 20, 5_000, 30):
            yield Message("readings.a", b"x" * size, "d", 1, size)

    with pytest.raises(PublishRefusedError, match=r"5000 bytes .* max_payload of 4096"):
        await publish(messages(), options(small), origin())

    assert [len(m.payload) for m in await stored(small)] == [10, 20]


async def test_oversized_messages_go_where_they_may(
    make_server: Any, make_stream: Any, stored: Any
) -> None:
    """With a large ``max_payload`` messages of 8 MB are published like others."""
    large = make_server(config="max_payload: 16MB\n")
    await make_stream(large)
    source = fleet(5, malformed=1.0, kinds=("oversized",), oversized_bytes=8 << 20)
    manifest = await publish(source, options(large), origin())

    assert manifest.malformed == {"oversized": 5}
    assert [len(m.payload) for m in await stored(large)] == [8 << 20] * 5


async def test_a_broken_source_ends_after_what_it_gave(
    server: Any, make_stream: Any, stored: Any
) -> None:
    """An error of the source comes up once the messages before it are acknowledged."""
    await make_stream(server)

    def messages() -> Iterator[Message]:
        yield from fleet(700)
        raise CsvError("f.csv, line 701: oops")

    with pytest.raises(CsvError, match="line 701"):
        await publish(messages(), options(server), origin())

    assert len(await stored(server)) == 700


LOGIN = 'authorization { users: [{ user: u, password: "p:@ss" }, { user: a, password: b }] }\n'


async def test_user_and_password_come_from_the_url(make_server: Any, make_stream: Any) -> None:
    """Percent-encoded credentials in the URL sign in."""
    closed = make_server(config=LOGIN, login="a:b@")
    await make_stream(closed)
    closed.login = "u:p%3A%40ss@"

    assert (await publish(fleet(10), options(closed), origin())).messages == 10


async def test_a_token_comes_from_the_url(make_server: Any, make_stream: Any) -> None:
    """A URL with one word before the host signs in with it as token."""
    closed = make_server(config="authorization { token: t0ken }\n", login="t0ken@")
    await make_stream(closed)

    assert (await publish(fleet(10), options(closed), origin())).messages == 10


@pytest.mark.parametrize("login", ["", "u:wrong@", "token@"])
async def test_wrong_credentials_are_a_settings_error(make_server: Any, login: str) -> None:
    """A server that refuses the credentials ends the run at once, by name."""
    closed = make_server(config=LOGIN, login=login)
    with pytest.raises(SettingsError, match="refuses the credentials"):
        await publish(fleet(10), options(closed), origin())


async def test_a_forbidden_subject_is_refused(make_server: Any, make_stream: Any) -> None:
    """A user who may not publish the readings is told so, not left waiting."""
    config = (
        "authorization { users: ["
        '{ user: a, password: b }, { user: u, password: p, permissions: { publish: "$JS.>" } }] }\n'
    )
    guarded = make_server(config=config, login="a:b@")
    await make_stream(guarded)
    guarded.login = "u:p@"
    with pytest.raises(PublishRefusedError, match="Permissions Violation for Publish"):
        await publish(fleet(10), options(guarded), origin())


async def test_tls(make_server: Any, tls_files: tuple[Path, Path]) -> None:
    """With the CA in the settings the connection is encrypted; without it, it is not trusted."""
    certificate, key = tls_files
    config = f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\n'
    secure = make_server(config=config, scheme="tls")
    trusting = options(secure, nats=secure.settings(tls_ca_file=certificate))

    # Past TLS and sign-in, only the stream is missing.
    with pytest.raises(PublishRefusedError, match="no stream takes"):
        await publish(fleet(10), trusting, origin())
    with pytest.raises(SettingsError, match="TLS failed"):
        await publish(fleet(10), options(secure), origin())
