"""The window: frames, settling, and what is sent again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.manifest import Lane, ManifestBuilder, Origin
from simulator.readings import Message
from simulator.window import Ack, Window

FRAME = re.compile(
    rb"HPUB (\S+) inbox\.(\d+) (\d+) (\d+)\r\n(NATS/1\.0\r\nNats-Msg-Id: run-(\d+)\r\n\r\n)"
)


def window(*, message_ids: bool = True) -> Window:
    """An empty window whose manifest can be looked at through it."""
    return Window(ManifestBuilder(Origin("run", "c", "p", "s")), message_ids=message_ids)


def message(number: int, payload: bytes = b"{}") -> Message:
    """A message of device d with a fingerprint of its own."""
    return Message(f"s.{number}", payload, "d", 1, number)


def ack(number: int, sequence: int, duplicate: bytes = b"", stream: bytes = b"S") -> Ack:
    """An acknowledgement with the digits as they come."""
    return Ack(str(number).encode(), stream, str(sequence).encode(), duplicate)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_frames_have_true_lengths(payloads: list[bytes]) -> None:
    """Every HPUB frame states the sizes of its header and message, whatever the payload holds."""
    frames = window().admit([message(n, p) for n, p in enumerate(payloads)], "inbox", 0.0)
    position = 0
    for number, payload in enumerate(payloads, 1):
        match = FRAME.match(frames, position)
        assert match is not None
        assert int(match[2]) == int(match[6]) == number
        assert int(match[3]) == len(match[5])
        end = match.start(5) + int(match[4])
        assert frames[match.end() : end] == payload
        assert frames[end : end + 2] == b"\r\n"
        position = end + 2

    assert position == len(frames)


def test_without_ids_a_frame_has_no_header() -> None:
    """A plain PUB is all that goes out when message ids are off."""
    frames = window(message_ids=False).admit([message(0, b"abc")], "inbox", 0.0)

    assert frames == b"PUB s.0 inbox.1 3\r\nabc\r\n"


def test_an_answer_counts_once() -> None:
    """Of two answers to a message sent twice, the first settles it and the second is ignored."""
    one = window()
    one.admit([message(0)], "inbox", 0.0)
    one.again([1], "inbox", 1.0, None)
    one.settle([ack(1, 7, b"duplicate"), ack(1, 7, b"duplicate")], 2.0)
    one.settle([ack(1, 7)], 3.0)

    assert len(one) == 0
    assert one._builder.messages == 1
    assert one._builder.duplicates == 1
    assert one._builder.resent == 1


def test_a_resent_message_keeps_its_id() -> None:
    """The frame of a second try carries the same number, so that the server can tell."""
    one = window()
    first = one.admit([message(0), message(1)], "inbox", 0.0)
    again = one.again([2], "inbox", 5.0, None)

    assert first.endswith(again)


def test_overdue_messages_are_those_sent_before() -> None:
    """A message is overdue from its last sending, or at once after a refusal that passes."""
    one = window()
    one.admit([message(0), message(1)], "inbox", 0.0)
    one.admit([message(2)], "inbox", 4.0)
    assert one.overdue(0.0) == []
    assert one.overdue(3.0) == [1, 2]

    one.again([1], "inbox", 5.0, None)
    assert one.overdue(3.0) == [2]

    one.retry(3, stored=False)
    one.settle([ack(2, 1)], 6.0)
    assert one.overdue(3.0) == [3]


def floors(one: Window, numbers: list[int], before: float) -> list[dict[str, int]]:
    """Floors of the writes that hold doubtful messages."""
    return [dict(sent.floors) for sent in one.doubtful(numbers, before)]


def test_floors_are_each_stream_s_highest_sequence_when_a_message_was_sent() -> None:
    """A pending message can only be stored beyond what was acknowledged before it was sent."""
    one = window()
    one.high = {"S": 100}
    one.admit([message(0), message(1)], "inbox", 0.0)
    one.settle([ack(1, 130), ack(7, 999)], 1.0)
    one.admit([message(2), message(3)], "inbox", 2.0)
    one.settle([ack(4, 7, stream=b"S_1")], 2.5)
    one.admit([message(4)], "inbox", 3.0)

    assert floors(one, [2, 3, 5], before=1.5) == [{"S": 100}]
    assert floors(one, [3, 5], before=9.0) == [{"S": 130}, {"S": 130, "S_1": 7}]
    assert floors(one, [1, 3], before=1.5) == []


def test_a_search_raises_the_floor_of_what_it_did_not_find() -> None:
    """What was not in a stream up to a sequence can only be stored beyond it."""
    one = window()
    one.high = {"S": 100}
    one.admit([message(0), message(1)], "inbox", 0.0)
    one.again([1], "inbox", 5.0, {"S": 400, "S_1": 50})
    one.again([1, 2], "inbox", 6.0, None)

    assert floors(one, [1], before=1.0) == [{"S": 400, "S_1": 50}]
    assert floors(one, [2], before=1.0) == [{"S": 100}]


def test_a_refusal_proves_a_message_not_stored_only_after_its_first_try() -> None:
    """A refused second try says nothing about the first one, and one that may be stored nothing."""
    one = window()
    one.admit([message(n) for n in range(3)], "inbox", 0.0)
    one.again([2], "inbox", 1.0, None)
    one.retry(1, stored=False)
    one.retry(2, stored=False)
    one.retry(3, stored=True)
    assert floors(one, [1], before=9.0) == []
    assert len(floors(one, [2], before=9.0)) == len(floors(one, [3], before=9.0)) == 1

    one.again([1], "inbox", 2.0, None)
    assert len(floors(one, [1], before=9.0)) == 1
    assert floors(one, [1], before=1.5) == []


def test_acknowledgements_are_counted_for_their_stream() -> None:
    """Sequences of several streams in one read of the socket are kept apart."""
    one = window()
    one.admit([message(n) for n in range(5)], "inbox", 0.0)
    one.settle([ack(1, 9), ack(2, 4, stream=b"S_1"), ack(3, 8), ack(9, 90, stream=b"S_2")], 1.0)
    one.settle([ack(4, 5, b"duplicate", stream=b"S_1"), ack(4, 6, stream=b"S_2")], 2.0)
    lanes = one._builder.lanes

    assert lanes == {"S": Lane(8, 9, 2), "S_1": Lane(4, 5, 2)}
    assert one.high == {"S": 9, "S_1": 5}
    assert one._builder.duplicates == 1
    assert one.numbers == [5]


def test_a_refused_message_leaves_the_window() -> None:
    """A refusal is an answer: the message is known not to be stored."""
    one = window()
    one.admit([message(0)], "inbox", 0.0)

    assert one.refuse(1) == message(0)
    assert one.refuse(1) is None
    assert one._builder.refused == 1
    assert one.first_pending() is None


@pytest.mark.parametrize("count", [1, 9, 10, 99, 100, 1_000])
def test_numbers_go_on_from_write_to_write(count: int) -> None:
    """Numbers are consecutive over writes, also where their digits grow."""
    one = window()
    one.admit([message(0)] * count, "inbox", 0.0)
    frames = one.admit([message(0)], "inbox", 0.0)

    assert b" inbox.%d " % (count + 1) in frames
    assert one.numbers == list(range(1, count + 2))
