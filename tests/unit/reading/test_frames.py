"""The frame parser: any split of the byte stream gives the same frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frames import FrameError, FrameParser, Frames, parse_headers, uniform

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
            for one in zip(piece.subjects, piece.replies, piece.payloads, strict=True)
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
    assert parser.feed(b"") == Frames()


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
    frames = FrameParser().feed(stream)
    assert frames.payloads == [inner, b"ok"]
    assert frames.subjects == [b"s", b"t"]


def test_messages_of_one_shape_are_taken_at_once() -> None:
    """The quick way really is taken for plain messages and for those with one header."""
    plain = b"".join(b"MSG s.%d 1 r.%d 3\r\na%02d\r\n" % (n, n, n) for n in range(50))
    frames = Frames()
    assert uniform(plain + b"MSG s 1 r 9\r\npart", frames) == len(plain)
    assert frames.payloads == [b"a%02d" % n for n in range(50)]
    head = b"NATS/1.0\r\nNats-Msg-Id: x\r\n\r\n"
    headed = b"".join(
        b"HMSG s 1 r.%d %d %d\r\n%bp%02d\r\n" % (n, len(head), len(head) + 3, head, n)
        for n in range(50)
    )
    frames = Frames()
    assert uniform(headed, frames) == len(headed)
    assert frames.payloads == [b"p%02d" % n for n in range(50)]
