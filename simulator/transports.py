"""A NATS connection made for publishing: many frames a write, acknowledgements read in bulk.

nats-py spends more on one acknowledged publish than the server does; this connection speaks the
same protocol (HPUB with a reply subject, one subscription for all answers) and nothing else.
It never reconnects by itself: the publisher knows what is pending, and opens another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from ingest.errors import StreamUnavailableError
from simulator.servers import Server
from simulator.window import Ack

WRITE_HIGH_WATER = 1 << 20
CLOSE_TIMEOUT_S = 1.0
NO_ANSWER = b'{"error":{"code":503}}'

# Not \S: the answer's subject is the longest part, and one excluded character is compared faster.
_ACK = re.compile(
    rb'MSG [^ ]+\.(\d+) 1 \d+\r\n\{"stream":"([^"]*)", ?"seq": ?(\d+)'
    rb'(, ?"duplicate": ?true|)\}\r\n'
)
_ANSWER = re.compile(rb"H?MSG (\S+) 1 (?:(\d+) )?(\d+)")

Settle = Callable[[list[Ack]], None]
Refuse = Callable[[int, dict[str, Any]], None]


class Connection(asyncio.Protocol):
    """One connection; ``closed`` is set when it is over, for whatever reason.

    ``settle(acks)`` is called with acknowledgements as they come; ``refuse(number, error)`` for an
    answer that is not one (JetStream's error object with the ``stream`` that refuses, or
    ``{"code": 503}`` when nobody answers the subject). A publish is told from another by the last
    token of its reply subject ``<inbox>.<number>``.
    """

    def __init__(self, settle: Settle, refuse: Refuse) -> None:
        self.info: dict[str, Any] = {}
        self.closed = asyncio.Event()
        self._lost = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self.problem = ""
        self.inbox = f"_INBOX.{secrets.token_hex(6)}"
        self.last_heard = time.monotonic()
        self._settle = settle
        self._refuse = refuse
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._informed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pongs: list[asyncio.Future[None]] = []
        self._requests: dict[str, asyncio.Future[bytes]] = {}
        self._requested = 0

    @property
    def max_payload(self) -> int:
        """Largest message that the server takes, headers included, bytes."""
        return int(self.info.get("max_payload", 1 << 20))

    def attach(self, transport: asyncio.Transport) -> None:
        """Takes ``transport`` for all further writes."""
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

    def write(self, data: bytes) -> None:
        """Queues bytes; they vanish silently when the connection is over."""
        if self._transport and not self.closed.is_set():
            self._transport.write(data)

    def close(self) -> None:
        """Ends the connection at once; what was not sent yet is dropped."""
        self.closed.set()
        if self._transport:
            self._transport.abort()

    async def end(self) -> None:
        """Ends the connection and waits until the socket is closed."""
        self.close()
        if self._transport:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), CLOSE_TIMEOUT_S)

    async def room(self, longest_s: float) -> None:
        """Waits until the socket takes more bytes, the connection is over, or ``longest_s``."""
        if not self._writable.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._writable.wait(), longest_s)

    def ping(self) -> asyncio.Future[None]:
        """Sends PING; the result is there when everything sent before has been processed."""
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        self.write(b"PING\r\n")
        return pong

    async def request(
        self, subject: str, body: dict[str, Any], timeout_s: float, *, header: bytes = b""
    ) -> dict[str, Any]:
        """JSON answer of a JetStream API request; ``header`` is a whole header block, if any.

        Raises StreamUnavailableError when none comes within ``timeout_s`` or nobody listens.
        """
        (answer,) = await self.request_all(subject, [body], timeout_s, header=header)
        return answer

    async def request_all(
        self,
        subject: str,
        bodies: Sequence[dict[str, Any]],
        timeout_s: float,
        *,
        header: bytes = b"",
    ) -> list[dict[str, Any]]:
        """Answers of several requests, sent in one write; see ``request``."""
        waiting: dict[str, asyncio.Future[bytes]] = {}
        frames = []
        for body in bodies:
            self._requested += 1
            reply = f"{self.inbox}.r{self._requested}"
            waiting[reply] = asyncio.get_running_loop().create_future()
            payload = header + (json.dumps(body).encode() if body else b"")
            verb, sizes = (b"HPUB", b"%d " % len(header)) if header else (b"PUB", b"")
            frames.append(
                b"%b %b %b %b%d\r\n%b\r\n"
                % (verb, subject.encode(), reply.encode(), sizes, len(payload), payload)
            )
        self._requests |= waiting
        self.write(b"".join(frames))
        try:
            async with asyncio.timeout(timeout_s):
                texts = [await answer for answer in waiting.values()]
        except TimeoutError as error:
            said = f": {self.problem}" if self.problem else ""
            raise StreamUnavailableError(
                f"no answer to {subject} in {timeout_s:g} s{said}"
            ) from error
        finally:
            for reply in waiting:
                self._requests.pop(reply, None)
        if not all(texts):
            raise StreamUnavailableError("JetStream does not answer: is it enabled on the server?")
        return [json.loads(text) for text in texts]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when connected."""
        # uvloop's transports are not subclasses of asyncio's.
        self.attach(cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: wakes everyone who waits for this connection."""
        self.problem = self.problem or (str(exc) if exc else "the server closed the connection")
        self.closed.set()
        self._lost.set()
        self._writable.set()
        lost = StreamUnavailableError(f"connection lost: {self.problem}")
        waiters: list[asyncio.Future[Any]] = [self._informed, *self._pongs]
        for waiter in (*waiters, *self._requests.values()):
            if not waiter.done():
                waiter.set_exception(lost)
                waiter.exception()

    def pause_writing(self) -> None:
        """Called by asyncio: the socket does not keep up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by asyncio: the socket has room again."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: settles every whole frame, keeps the rest."""
        self.last_heard = time.monotonic()
        buffer = self._rest + data if self._rest else data
        whole = buffer.rfind(b"}\r\n") + 3
        acks = _ACK.findall(buffer, 0, whole)
        # An acknowledgement has two line ends. If those account for all up to the last one, then
        # nothing else is there; any other frame would have brought one more at least.
        if acks and buffer.count(b"\r\n", 0, whole) == 2 * len(acks):
            self._settle(acks)
            buffer = buffer[whole:]
        self._rest = self._one_by_one(buffer)

    def _one_by_one(self, buffer: bytes) -> bytes:
        """Acts on each whole frame in turn; returns what is left."""
        position = 0
        while position < len(buffer):
            if ack := _ACK.match(buffer, position):
                self._settle([Ack(*ack.groups())])
                position = ack.end()
                continue
            end = self._other_frame(buffer, position)
            if end < 0:
                break
            position = end
        return buffer[position:]

    def _other_frame(self, buffer: bytes, position: int) -> int:
        """End of the frame at ``position`` after acting on it, or -1 when it is not whole."""
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return -1
        line, end = buffer[position:line_end], line_end + 2
        if answer := _ANSWER.fullmatch(line):
            stop = end + int(answer[3])
            if len(buffer) < stop + 2:
                return -1
            self._answered(answer[1].decode(), buffer[end + int(answer[2] or 0) : stop])
            return stop + 2
        if line == b"PING":
            self.write(b"PONG\r\n")
        elif line == b"PONG" and self._pongs:
            pong = self._pongs.pop(0)
            if not pong.done():
                pong.set_result(None)
        elif line.startswith(b"INFO "):
            self.info.update(json.loads(line[5:]))
            if not self._informed.done():
                self._informed.set_result(None)
        elif line.startswith(b"-ERR"):
            self.problem = line[4:].decode().strip(" '")
        return end

    def _answered(self, subject: str, payload: bytes) -> None:
        """An answer that is no plain acknowledgement; an empty one means that nobody listens."""
        waiter = self._requests.get(subject)
        if waiter is not None:
            if not waiter.done():
                waiter.set_result(payload)
            return
        number = subject.rpartition(".")[2]
        if not number.isdigit():
            return  # the late answer of a request that was given up
        answer: dict[str, Any] = json.loads(payload or NO_ANSWER)
        if "error" in answer:
            self._refuse(int(number), {"stream": answer.get("stream"), **answer["error"]})
        else:
            stream, sequence = answer["stream"].encode(), b"%d" % answer["seq"]
            duplicate = b"duplicate" if answer.get("duplicate") else b""
            self._settle([Ack(number.encode(), stream, sequence, duplicate)])

    async def handshake(self, server: Server, context: ssl.SSLContext) -> None:
        """Signs in and subscribes; call once after connecting."""
        await self._informed
        if server.tls or self.info.get("tls_required"):
            assert self._transport is not None
            secured = await asyncio.get_running_loop().start_tls(
                self._transport, self, context, server_hostname=server.host
            )
            assert secured is not None
            self.attach(secured)
        options = {
            "verbose": False,
            "pedantic": False,
            "headers": True,
            "no_responders": True,
            "lang": "python",
            "version": "1",
            "protocol": 1,
            "name": "sensor-sim",
            "user": server.user,
            "pass": server.password,
            "auth_token": server.token,
        }
        given = {name: value for name, value in options.items() if value is not None}
        self.write(
            b"CONNECT %b\r\nSUB %b.* 1\r\n" % (json.dumps(given).encode(), self.inbox.encode())
        )
        await self.ping()
