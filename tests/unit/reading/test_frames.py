"""The frame parser: any split of the byte stream gives the same frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frame_spans import Spans, uniform
from ingest.frames import FrameError, FrameParser, Frames, parse_headers

TOKEN = st.text(alphabet="abcXYZ.$0189_-", min_size=1, max_size=12).map(str.encode)
PAYLOAD = st.binary(max_size=60) | st.sampled_from([b"\r\n", b"MSG a 1 b 3\r\n", b"PING\r\n", b""])


@st.composite
def frame(draw: st.DrawFn) -> tuple[bytes, tuple[str, object]]:
    """One frame's bytes, and what it must be parsed to."""
    kind = draw(st.sampled_from(["msg", "hmsg", "status", "ping", "line"]))
    subject, reply, payload = draw(TOKEN), draw(TOKEN), draw(PAYLOAD)
    head = b"NATS/1.0\r\nNats-Msg-Id: x\r\n\r\n"
    if kind == "msg":
        text = b"MSG %b 1 %b %d\r\n%b\r\n" % (subject, reply, len(payload), payload)
        return text, ("message", (subject, reply, payload))
    if kind == "hmsg":
        sizes = len(head), len(head) + len(payload)
        text = b"HMSG %b 1 %b %d %d\r\n%b%b\r\n" % (subject, reply, *sizes, head, payload)
        return text, ("message", (subject, reply, payload))
    if kind == "status":
        head = b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n"
        text = b"HMSG %b 1 %d %d\r\n%b\r\n" % (subject, len(head), len(head), head)
        return text, ("status", "100")
    if kind == "ping":
        return b"PING\r\n", ("ping", None)
    return b'INFO {"a":1}\r\n', ("line", b'INFO {"a":1}')


def seen(pieces: list[Frames]) -> list[tuple[str, object]]:
    """What the pieces hold, messages in their order first."""
    found: list[tuple[str, object]] = []
    for piece in pieces:
        found += [
            ("message", one)
            for one in zip(
                piece.messages.subjects,
                piece.messages.replies,
                piece.messages.payloads,
                strict=True,
            )
        ]
        found += [("status", headers["Status"]) for headers in piece.statuses]
        found += [("line", line) for line in piece.lines]
        found += [("ping", None)] * piece.pings
    return found


@given(
    st.lists(frame(), max_size=12),
    st.lists(st.integers(1, 40) | st.integers(1, 600), min_size=1, max_size=8),
)
def test_any_split_gives_the_same_frames(
    frames: list[tuple[bytes, tuple[str, object]]], cuts: list[int]
) -> None:
    """Frames arrive whole and in order however the socket cuts them."""
    stream = b"".join(text for text, _ in frames)
    parser, pieces, position, turn = FrameParser(), [], 0, 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        pieces.append(parser.feed(stream[position : position + size]))
        position, turn = position + size, turn + 1

    found = seen(pieces)
    for kind in ("message", "status", "line", "ping"):
        expected = [meaning for _, meaning in frames if meaning[0] == kind]
        assert [one for one in found if one[0] == kind] == expected


@given(st.binary(max_size=200))
def test_other_bytes_are_frames_or_a_frame_error(noise: bytes) -> None:
    """Bytes that are not the protocol end in FrameError or wait for more, nothing else."""
    parser = FrameParser()
    try:
        parser.feed(noise)
    except FrameError:
        return
    nothing = parser.feed(b"")
    assert seen([nothing]) == []


def test_a_line_without_an_end_is_refused() -> None:
    """A peer that sends one endless line cannot fill the memory."""
    with pytest.raises(FrameError, match="without an end"):
        FrameParser().feed(b"x" * 100_000)


def test_headers_of_a_status_frame() -> None:
    """Status and description come from the first line, the rest are names and values."""
    block = b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 12\r\n\r\n"
    assert parse_headers(block) == {
        "Status": "408",
        "Description": "Request Timeout",
        "Nats-Pending-Messages": "12",
    }


def test_a_payload_that_looks_like_frames_is_one_payload() -> None:
    """Line breaks and control lines inside payloads are taken by length, never by look."""
    inner = b"MSG x 1 r 3\r\nabc\r\nMSG y 1 r 0\r\n"
    stream = b"MSG s 1 r %d\r\n%b\r\nMSG t 1 q 2\r\nok\r\n" % (len(inner), inner)
    messages = FrameParser().feed(stream).messages
    assert messages.payloads == [inner, b"ok"]
    assert messages.subjects == [b"s", b"t"]


PLAIN = b"".join(b"MSG s.%d 1 r.%d 3\r\na%02d\r\n" % (n, n, n) for n in range(50))
HEAD = b"NATS/1.0\r\nNats-Msg-Id: x\r\n\r\n"
HEADED = b"".join(
    b"HMSG s.%d 1 r.%d %d %d\r\n%bp %d\r\n" % (n, n, len(HEAD), len(HEAD) + 4, HEAD, n)
    for n in range(10, 60)
)


def test_messages_of_one_form_are_taken_at_once() -> None:
    """The quick way really is taken for plain messages and for those with headers."""
    stream = PLAIN + b"MSG s 1 r 9\r\npart"
    places = uniform(stream)
    assert places is not None
    messages = Spans(stream, places)
    assert messages.payloads == [b"a%02d" % n for n in range(50)]
    assert messages.subjects == [b"s.%d" % n for n in range(50)]
    assert messages.replies == [b"r.%d" % n for n in range(50)]
    places = uniform(HEADED)
    assert places is not None
    messages = Spans(HEADED, places)
    assert messages.payloads == [b"p %d" % n for n in range(10, 60)]
    assert messages.replies == [b"r.%d" % n for n in range(10, 60)]


@pytest.mark.parametrize("stream", [PLAIN, HEADED])
@given(data=st.data())
def test_what_breaks_the_form_is_parsed_one_by_one(stream: bytes, data: st.DataObject) -> None:
    """Bytes changed anywhere: the quick way gives what the slow one gives, or nothing."""
    at = data.draw(st.integers(0, len(stream) - 1))
    put = data.draw(st.sampled_from([b"", b" ", b"\r\n", b"\r", b"\n", b"M", b"1", b"9", b"00"]))
    changed = stream[:at] + put + stream[at + data.draw(st.integers(0, 2)) :]
    places = uniform(changed)
    if places is None:
        return
    quick = Spans(changed, places)
    end = int(places[-1, -1]) + 2
    slow = [FrameParser().feed(changed[:end]).messages]
    assert quick.payloads == [one for piece in slow for one in piece.payloads]
    assert quick.subjects == [one for piece in slow for one in piece.subjects]
    assert quick.replies == [one for piece in slow for one in piece.replies]


@given(st.lists(st.tuples(TOKEN, TOKEN, PAYLOAD), min_size=1, max_size=20))
def test_objects_and_places_are_the_same_messages(some: list[tuple[bytes, bytes, bytes]]) -> None:
    """What comes as objects is kept as places and given back."""
    subjects, replies, payloads = (list(column) for column in zip(*some, strict=True))
    messages = Spans.of(subjects, replies, payloads)
    assert (messages.subjects, messages.replies) == (subjects, replies)
    assert messages.payloads == payloads
    assert messages.payload_bytes == sum(map(len, payloads))
