"""The connection's parser: any cut of the byte stream means the same, and URLs say where to go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from ingest.errors import SettingsError
from ingest.settings import NatsSettings
from simulator.servers import Server, parse_servers
from simulator.transports import Connection
from simulator.window import Ack


def frame(number: int, body: str) -> bytes:
    """A message to the reply subject of publish ``number``."""
    return b"MSG _INBOX.ab.%d 1 %d\r\n%b\r\n" % (number, len(body), body.encode())


REFUSAL = (
    '{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},'
    '"stream":"S_2","seq":0}'
)
NO_RESPONDER = b"HMSG _INBOX.ab.9 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"
FRAMES: list[tuple[bytes, object]] = [
    (frame(1, '{"stream":"S", "seq":11}'), ("1", "S", "11", False)),
    (frame(22, '{"stream":"S_1","seq":120}'), ("22", "S_1", "120", False)),
    (frame(3, '{"stream":"S", "seq":13,"duplicate": true}'), ("3", "S", "13", True)),
    (frame(4, '{"stream":"S","domain":"hub","seq":14}'), ("4", "S", "14", False)),
    (frame(5, '{"stream":"T","domain":"hub","seq":15,"duplicate":true}'), ("5", "T", "15", True)),
    (frame(6, REFUSAL), (6, "S_2", 10077)),
    (NO_RESPONDER, (9, None, 503)),
    (b"PING\r\n", None),
    (b"+OK\r\n", None),
    (b'INFO {"max_payload":77}\r\n', None),
    (b"MSG _INBOX.ab.r7 1 2\r\n{}\r\n", None),
]


async def parse(pieces: list[bytes]) -> tuple[list[object], Connection]:
    """What a connection makes of the pieces."""
    seen: list[object] = []

    def settle(acks: list[Ack]) -> None:
        seen.extend(
            (n.decode(), stream.decode(), at.decode(), bool(d)) for n, stream, at, d in acks
        )

    def refuse(number: int, error: dict[str, Any]) -> None:
        seen.append((number, error["stream"], error.get("err_code", error["code"])))

    connection = Connection(settle, refuse)
    for piece in pieces:
        connection.data_received(piece)
    return seen, connection


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(FRAMES), max_size=30), st.lists(st.integers(1, 90)))
def test_any_cut_of_the_stream_means_the_same(
    frames: list[tuple[bytes, object]], cuts: list[int]
) -> None:
    """Acknowledgements and refusals are reported once each, in order, however bytes arrive."""
    data = b"".join(one for one, _ in frames)
    pieces = []
    for size in cuts:
        pieces.append(data[:size])
        data = data[size:]
    seen, connection = asyncio.run(parse([*filter(None, pieces), data] if data else pieces))

    assert seen == [meaning for _, meaning in frames if meaning]
    assert connection._rest == b""


def test_an_acknowledgement_inside_a_payload_is_not_one() -> None:
    """Bytes that look like a frame settle nothing when they are part of another message."""
    inner = frame(1, '{"stream":"S","seq":11}').decode()
    text = f'{{"error":{{"code":500,"description":"x"}}, "y":1}}\r\n{inner}'
    data = b"MSG _INBOX.ab.r1 1 %d\r\n%b\r\n" % (len(text), text.encode())
    seen, connection = asyncio.run(parse([data + frame(2, '{"stream":"S","seq":12}')]))

    assert seen == [("2", "S", "12", False)]
    assert connection._rest == b""


def parsed(url: str, **options: Any) -> list[Server]:
    """Servers of a URL setting."""
    return parse_servers(NatsSettings(url=SecretStr(url), **options))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nats://h", Server("h", 4222, False, None, None, None)),
        ("h:5222", Server("h", 5222, False, None, None, None)),
        ("tls://h:1", Server("h", 1, True, None, None, None)),
        ("nats://u:p%40ss@h:1", Server("h", 1, False, "u", "p@ss", None)),
        ("nats://s3cret@h:1", Server("h", 1, False, None, None, "s3cret")),
        ("nats://[::1]:7", Server("::1", 7, False, None, None, None)),
    ],
)
def test_urls(url: str, expected: Server) -> None:
    """Host, port, TLS, user, password and token come from the URL."""
    assert parsed(url) == [expected]


def test_several_servers_and_settings() -> None:
    """A URL setting may list servers; token and CA file of the settings hold for each."""
    servers = parsed("nats://a:1, b:2", token=SecretStr("t"), tls_ca_file=Path("ca.pem"))

    assert [server.name for server in servers] == ["a:1", "b:2"]
    assert all(server.token == "t" and server.tls for server in servers)


@pytest.mark.parametrize("url", ["", "http://h:1", "nats://", "nats://h:x", "nats://h:99999"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """A wrong URL is one sentence that shows the form and hides the password."""
    with pytest.raises(SettingsError, match="not a NATS URL"):
        parsed(url)


def test_a_credentials_file_is_refused() -> None:
    """JWT credentials are not silently ignored."""
    with pytest.raises(SettingsError, match="creds_file"):
        parsed("nats://h:1", creds_file=Path("x.creds"))
