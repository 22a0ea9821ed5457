"""`ingest dlq`: refused messages listed, shown, replayed once and purged, whatever crashes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from ingest.decode import Refused
from ingest.dlq import STREAM, DeadLetterQueue
from ingest.dlq_read import Entry, EntryState, all_entries, entries_of, newest_entries
from ingest.dlq_replay import EntryChangedError, Replayer, ReplayUnprovenError
from ingest.dlq_room import Room
from ingest.nats_link import NatsLink
from ingest.provision import init
from ingest.refusal import Reason
from ingest.schema_apply import apply
from ingest.stream_info import message_at
from tests.support.lane import TestLane, reading

Result = TypeVar("Result")
BINARY = b"\x00\xff\x10not text"


@pytest.fixture
def made(lane: TestLane) -> TestLane:
    """A lane after init."""
    asyncio.run(init(lane.settings))
    return lane


def refuse(lane: TestLane, *payloads: bytes, reason: Reason = Reason.INVALID_JSON) -> list[int]:
    """Publishes payloads and puts each into the dead-letter queue; their sequences."""

    async def work(link: NatsLink) -> list[int]:
        sequences = []
        for payload in payloads:
            sequence = (await link.js.publish(f"{lane.subject_root}.s.d.m", payload)).seq
            await DeadLetterQueue(link, lane.stream).publish(
                [await refused(link, lane, sequence, reason)], 1
            )
            sequences.append(sequence)
        return sequences

    return lane.run_async(work)


async def refused(link: NatsLink, lane: TestLane, sequence: int, reason: Reason) -> Refused:
    """The refusal of a message that the lane holds."""
    message = await message_at(link, lane.stream, sequence)
    assert message is not None
    return Refused(
        sequence, message.stored_at_ns, message.subject, message.payload, reason, "told so"
    )


def with_entry(
    lane: TestLane, sequence: int, work: Callable[[NatsLink, Replayer, Entry], Awaitable[Result]]
) -> Result:
    """Runs ``work`` with a replayer and the entry of ``sequence``."""

    async def connected(link: NatsLink) -> Result:
        async with Room(link) as room:
            entry = (await entries_of(link, lane.stream, sequence))[0]
            return await work(link, Replayer(link, lane.stream, room), entry)

    return lane.run_async(connected)


def entry_of(lane: TestLane, sequence: int) -> Entry:
    """The entry as it stands."""
    found: list[Entry] = lane.run_async(lambda link: entries_of(link, lane.stream, sequence))
    return found[0]


def listed(lane: TestLane, *arguments: str) -> list[dict[str, Any]]:
    """`ingest dlq list` as JSON."""
    done = lane.ingest("dlq", "list", "--output", "json", *arguments)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_list_chooses_by_reason_state_time_and_count(made: TestLane) -> None:
    """List shows what still has a payload; options narrow it, the newest come last."""
    refuse(made, b"a", b"b", b"c")
    refuse(made, b"", reason=Reason.EMPTY)

    async def newest(link: NatsLink, limit: int) -> list[Entry]:
        return await newest_entries(link, made.stream, limit, lambda _: True)

    assert [e["sequence"] for e in listed(made)] == [1, 2, 3, 4]
    assert [e["reason"] for e in listed(made, "--reason", "empty")] == ["empty"]
    assert [e.sequence for e in made.run_async(lambda link: newest(link, 2))] == [3, 4]
    assert listed(made, "--since", (datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []
    assert len(listed(made, "--since", "1h", "--state", "refused")) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--reason", "nonsense"], "no reason 'nonsense'"),
        (["list", "--since", "yesterday"], "expected 30m, 2h, 7d"),
        (["list", "--since", "2026-01-01T00:00:00"], "has no zone"),
        (["replay"], "name sequences, --reason or --all"),
        (["purge", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_meant_is_exit_2(lane: TestLane, arguments: list[str], said: str) -> None:
    """A wrong option is told before any server is asked."""
    done = lane.ingest("dlq", *arguments, check=False)

    assert done.returncode == 2
    assert said in done.stderr


def test_show_gives_text_as_text_and_bytes_as_hex(made: TestLane) -> None:
    """Show tells why a message was refused, what it is, and whether it would be stored now."""
    text, binary, good = refuse(made, b'{"half":', BINARY, reading(1))

    assert '{"half":' in made.ingest("dlq", "show", str(text)).stdout
    shown = made.ingest("dlq", "show", str(binary)).stdout
    assert "00 ff 10 6e 6f 74" in shown
    assert "invalid_json: told so" in shown
    assert "refused again" in shown
    assert "would be stored" in made.ingest("dlq", "show", str(good)).stdout
    document = json.loads(made.ingest("dlq", "show", str(binary), "--output", "json").stdout)
    assert bytes.fromhex(document[0]["payload_hex"]) == BINARY
    missing = made.ingest("dlq", "show", "99", check=False)
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)


def test_a_message_refused_by_the_contract_is_stored_after_it_was_mended(made: TestLane) -> None:
    """Refused by both writers, replayed after schema apply, stored once in both sinks."""
    writers = [made.start("hot"), made.start("lake")]
    ahead = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    made.publish([reading(1), reading(2, ts=ahead), reading(3), b"never"])
    made.wait_hot(4)
    made.wait_lake(4)
    assert [(e["sequence"], e["reason"]) for e in listed(made)] == [
        (2, "too_far_ahead"),
        (4, "invalid_json"),
    ]

    text = made.contract_file.read_text(encoding="utf-8")
    made.contract_file.write_text(text.replace('max_ahead = "1h"', 'max_ahead = "3h"'))
    asyncio.run(apply(made.settings))
    done = json.loads(made.ingest("dlq", "replay", "--all", "--output", "json").stdout)
    assert [(o["sequence"], o["what"]) for o in done] == [(2, "replayed"), (4, "skipped")]
    assert listed(made, "--state", "replayed")[0]["replayed_as"] == 5
    made.wait_hot(5)
    made.wait_lake(5)

    assert made.hot_rows() == made.lake_rows() == [(1, 0), (3, 0), (5, 0)]
    assert [e["sequence"] for e in listed(made, "--state", "all")] == [2, 4]
    assert [writer.drain() for writer in writers] == [0, 0]
    assert "1 purged" in made.ingest("dlq", "purge", "--all").stdout
    assert made.ingest("verify").returncode == 0


def test_a_dry_run_changes_nothing(made: TestLane) -> None:
    """Replay and purge with --dry-run only tell."""
    (sequence,) = refuse(made, reading(1))

    assert "would be replayed" in made.ingest("dlq", "replay", "--all", "--dry-run").stdout
    assert "would be purged" in made.ingest("dlq", "purge", "--all", "--dry-run").stdout

    assert entry_of(made, sequence).state is EntryState.REFUSED
    assert made.state().messages == 1


def test_a_tombstone_keeps_a_second_reader_from_publishing_again(made: TestLane) -> None:
    """After replay and purge the queue still has one entry for each refused sequence."""
    replayed, purged = refuse(made, reading(1), b"x")
    with_entry(made, replayed, lambda _, replayer, entry: replayer.replay(entry))
    with_entry(made, purged, lambda _, replayer, entry: replayer.purge(entry, unproven=False))

    async def refuse_again(link: NatsLink) -> list[Entry]:
        again = [
            await refused(link, made, sequence, Reason.INVALID_JSON)
            for sequence in (replayed, purged)
        ]
        await DeadLetterQueue(link, made.stream).publish(again, 1)
        return await all_entries(link, made.stream, lambda _: True)

    entries = made.run_async(refuse_again)

    assert [(e.sequence, e.state) for e in entries] == [
        (replayed, EntryState.REPLAYED),
        (purged, EntryState.PURGED),
    ]
    assert [(e.reason, e.detail, e.size) for e in entries] == [("invalid_json", "told so", 0)] * 2


def test_replaying_twice_publishes_once(made: TestLane) -> None:
    """A second replay, and two at the same time, find the entry replayed."""
    one, two = refuse(made, reading(1), reading(2))

    assert "1 replayed" in made.ingest("dlq", "replay", str(one)).stdout
    assert "nothing to do" in made.ingest("dlq", "replay", str(one)).stdout

    async def at_once(_: NatsLink, replayer: Replayer, entry: Entry) -> list[Any]:
        return list(
            await asyncio.gather(
                *(replayer.replay(entry) for _ in range(4)), return_exceptions=True
            )
        )

    outcomes = with_entry(made, two, at_once)

    assert sum(isinstance(outcome, Entry) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, EntryChangedError) for outcome in outcomes) == 3
    assert made.state().messages == 4


def test_a_crash_before_the_publish_is_made_good_by_the_next_replay(made: TestLane) -> None:
    """An entry that was begun and not published is published once."""
    (sequence,) = refuse(made, reading(1))
    with_entry(made, sequence, lambda _, replayer, entry: replayer.begin(entry))
    assert entry_of(made, sequence).state is EntryState.REPLAYING

    assert "replayed as 2" in made.ingest("dlq", "replay", "--all").stdout

    assert made.state().messages == 2
    assert entry_of(made, sequence).replayed_as == 2


def test_a_crash_after_the_publish_is_found_and_not_doubled(made: TestLane) -> None:
    """The next replay finds the published message among others, also when its id is forgotten."""
    made.run_async(lambda link: _forget_ids_soon(link, made))
    (sequence,) = refuse(made, reading(1))

    async def crash_after_publish(_: NatsLink, replayer: Replayer, entry: Entry) -> int:
        return await replayer.publish(await replayer.begin(entry))

    made.publish(made.readings(3))
    published = with_entry(made, sequence, crash_after_publish)
    made.publish(made.readings(3))
    made.run_async(lambda link: _until_ids_are_forgotten(link, made))
    before = made.state().messages

    assert f"replayed as {published}" in made.ingest("dlq", "replay", "--all").stdout

    assert made.state().messages == before
    assert entry_of(made, sequence).replayed_as == published


async def _forget_ids_soon(link: NatsLink, lane: TestLane) -> None:
    """Lets the lane's stream remember message ids for 0.1 s."""
    config = (await link.api(f"STREAM.INFO.{lane.stream}", {}))["config"]
    shorter = {**config, "duplicate_window": 100_000_000}
    await link.api(f"STREAM.UPDATE.{lane.stream}", shorter)


async def _until_ids_are_forgotten(link: NatsLink, lane: TestLane) -> None:
    """Publishes under one id until the server takes it a second time."""
    subject, headers = f"{lane.subject_root}.probe", {"Nats-Msg-Id": f"probe-{lane.tag}"}
    taken = 0
    while taken < 2:
        answer = await link.js.publish(subject, b"probe", headers=headers)
        taken += not answer.duplicate


def test_a_replayer_that_slept_cannot_publish_a_second_time(made: TestLane) -> None:
    """One that looked before another published is refused by the stream, looks, and finds it."""
    made.run_async(lambda link: _forget_ids_soon(link, made))
    (sequence,) = refuse(made, reading(1))

    async def overtaken(link: NatsLink, sleeper: Replayer, entry: Entry) -> tuple[Any, int, Entry]:
        begun = await sleeper.begin(entry)
        seen = entry.sequence  # the last message of the subject when the sleeper looked
        done = await sleeper.replay(begun)
        await _until_ids_are_forgotten(link, made)
        stale = await sleeper._publish_if_last(begun, seen)
        return stale, await sleeper.publish(begun), done

    before = made.state().messages
    stale, found, done = with_entry(made, sequence, overtaken)

    assert stale is None
    assert found == done.replayed_as
    probes = 2
    assert made.state().messages == before + 1 + probes


def test_what_retention_hides_is_not_published_again(made: TestLane) -> None:
    """When messages since the begin are gone, nothing is assumed; a person settles it."""
    (sequence,) = refuse(made, reading(1))
    with_entry(made, sequence, lambda _, replayer, entry: replayer.begin(entry))
    made.publish(made.readings(2))
    made.run_async(lambda link: link.api(f"STREAM.PURGE.{made.stream}", {}))

    with pytest.raises(ReplayUnprovenError, match="cannot be told"):
        with_entry(made, sequence, lambda _, replayer, entry: replayer.replay(entry))
    refused_purge = made.ingest("dlq", "purge", str(sequence), check=False)
    assert refused_purge.returncode == 1
    assert "--unproven" in refused_purge.stdout

    assert "1 purged" in made.ingest("dlq", "purge", str(sequence), "--unproven").stdout
    assert made.state().messages == 0
    assert entry_of(made, sequence).state is EntryState.PURGED


def test_a_full_queue_still_takes_tombstones_and_keeps_its_size(own_lane: TestLane) -> None:
    """Purging makes room in a stream that refuses every other message; its limit is as before."""
    own_lane.overrides["IOT_STREAM__DLQ_MAX_BYTES"] = "100000"
    asyncio.run(init(own_lane.settings))
    payload = b"x" * 9_000
    sequences = refuse(own_lane, *[payload] * 10)

    async def is_full(link: NatsLink) -> bool:
        await link.client.publish("dlq.elsewhere.1.1", payload)
        await link.client.flush()
        info = await link.api(f"STREAM.INFO.{STREAM}", {})
        return bool(info["state"]["messages"] == len(sequences))

    assert own_lane.run_async(is_full)

    assert "10 purged" in own_lane.ingest("dlq", "purge", "--all").stdout

    info = own_lane.run_async(lambda link: link.api(f"STREAM.INFO.{STREAM}", {}))
    assert info["config"]["max_bytes"] == 100_000
    assert info["state"]["messages"] == len(sequences)
    assert info["state"]["bytes"] < 10_000
