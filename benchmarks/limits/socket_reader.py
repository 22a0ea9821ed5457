"""The least that a client can do with a stream: pull, cut the bytes into frames roughly, count."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

READ_BYTES = 1 << 20
INBOX = "_INBOX.limits"
EXPIRES_NS = 60_000_000_000


def count_messages(url: str, stream: str, messages: int) -> int:
    """Messages counted until there were ``messages``, over one blocking socket.

    One consumer without acknowledgements and one pull for all of them. Frames are cut at line
    breaks, which readings do not hold; nothing is looked at. Raises TimeoutError when the server
    falls silent.
    """
    place = urlsplit(url)
    address = (place.hostname or "127.0.0.1", place.port or 4222)
    with socket.create_connection(address, timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * READ_BYTES)
        hello = {
            "verbose": False,
            "headers": True,
            "protocol": 1,
            "user": place.username,
            "pass": place.password,
        }
        connection.sendall(
            b"CONNECT %b\r\nSUB %b.* 1\r\n" % (json.dumps(hello).encode(), INBOX.encode())
        )
        _request(connection, f"$JS.API.CONSUMER.CREATE.{stream}.limits", "made", _consumer(stream))
        _until(connection, b'"limits"')
        pull = {"batch": messages, "expires": EXPIRES_NS}
        _request(connection, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.limits", "m", pull)
        counted = _count(connection, messages)
        _request(connection, f"$JS.API.CONSUMER.DELETE.{stream}.limits", "gone", {})
        _until(connection, b'"success"')
        return counted


def _count(connection: socket.socket, messages: int) -> int:
    buffer = bytearray(READ_BYTES)
    view = memoryview(buffer)
    rest, counted = b"", 0
    while counted < messages:
        received = connection.recv_into(buffer)
        if not received:
            raise ConnectionError(f"NATS closed the connection after {counted:,} messages")
        data = rest + view[:received]
        if b"PING\r\n" in data:
            connection.sendall(b"PONG\r\n")
            data = data.replace(b"PING\r\n", b"")
        parts = data.split(b"\r\n")
        whole = (len(parts) - 1) // 2 * 2
        counted += whole // 2
        rest = b"\r\n".join(parts[whole:])
    return counted


def _consumer(stream: str) -> dict[str, object]:
    config = {
        "name": "limits",
        "deliver_policy": "all",
        "ack_policy": "none",
        "replay_policy": "instant",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": EXPIRES_NS,
    }
    return {"stream_name": stream, "config": config}


def _request(connection: socket.socket, subject: str, reply: str, body: object) -> None:
    payload = json.dumps(body).encode()
    head = f"PUB {subject} {INBOX}.{reply} {len(payload)}\r\n".encode()
    connection.sendall(head + payload + b"\r\n")


def _until(connection: socket.socket, mark: bytes) -> None:
    """Reads until an answer holds ``mark`` and is whole."""
    answer = b""
    while mark not in answer or not answer.endswith(b"\r\n"):
        received = connection.recv(READ_BYTES)
        if not received or b'"error"' in answer:
            raise ConnectionError(f"NATS does not do what was asked: {answer[-400:]!r}")
        answer += received
