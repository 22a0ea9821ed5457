"""Proxies that fail on request, between a writer and a real server.

``HttpProxy`` understands requests, so that one kind of them can be refused, answered wrongly after
it was carried out, sent twice or left without an answer. ``TcpProxy`` sees bytes only.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote_plus


class Action(Enum):
    """What happens to a request that a fault takes."""

    REFUSE = "answer with the status, pass nothing on"
    DROP = "close the connection, pass nothing on"
    ANSWER_AFTER = "carry out, then answer with the status"
    CUT_AFTER = "carry out, then close without an answer"
    CUT_MIDWAY = "carry out, then close after half of the answer's body"
    TWICE = "carry out twice, answer as the second time"
    HOLD = "wait for the test before passing on"


@dataclass
class Fault:
    """Takes up to ``times`` requests whose method, path and body hold all of ``texts``."""

    action: Action
    texts: tuple[str, ...]
    times: int = 1
    status: int = 503
    method: str = "POST"
    taken: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def takes(self, method: str, path: str, body: bytes) -> bool:
        """Whether the request is one of this fault's."""
        if self.taken >= self.times or method != self.method:
            return False
        whole = unquote_plus(path) + body[:100_000].decode("utf-8", "replace")
        if not all(text in whole for text in self.texts):
            return False
        self.taken += 1
        return True


class HttpProxy:
    """An HTTP proxy for one server; ``faults`` are tried in order."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                proxy.serve(self)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for fault in self.faults:
            fault.release.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, action: Action, *texts: str, **options: Any) -> Fault:
        """Adds a fault and returns it."""
        fault = Fault(action, texts, **options)
        self.faults.append(fault)
        return fault

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        body = _body_of(handler)
        with self._lock:
            self.requests.append(f"{handler.command} {handler.path}")
            fault = next(
                (f for f in self.faults if f.takes(handler.command, handler.path, body)), None
            )
        action = fault.action if fault else None
        if fault is not None and action is Action.REFUSE:
            _answer(handler, fault.status, {}, b'{"error": {"message": "injected", "code": 0}}')
            fault.reached.set()
            return
        if fault is not None and action is Action.DROP:
            fault.reached.set()
            _cut(handler)
            return
        if fault is not None and action is Action.HOLD:
            fault.reached.set()
            fault.release.wait(60)
        try:
            answer = self._pass_on(handler, body)
            if action is Action.TWICE:
                answer = self._pass_on(handler, body)
        except (OSError, http.client.HTTPException):
            _cut(handler)
            return
        if fault is not None and action is Action.ANSWER_AFTER:
            answer = (fault.status, {}, b"injected")
        with contextlib.suppress(OSError):
            if action is Action.CUT_AFTER:
                _cut(handler)
            else:
                _answer(handler, *answer, half=action is Action.CUT_MIDWAY)
        if fault is not None:
            fault.reached.set()

    def _pass_on(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=60)
        try:
            headers = {
                name: value
                for name, value in handler.headers.items()
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}
            }
            connection.request(handler.command, handler.path, body or None, headers)
            response = connection.getresponse()
            kept = {
                name: value
                for name, value in response.getheaders()
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}
            }
            return response.status, kept, response.read()
        finally:
            connection.close()


class TcpProxy:
    """Passes bytes both ways; ``watch`` sees what the server sends and may say "cut"."""

    def __init__(self, port: int, watch: Callable[[bytes], bool]) -> None:
        self._target = port
        self._watch = watch
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Closes every connection; new ones are taken."""
        sockets, self._open = self._open, []
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            for source, sink, watch in ((client, server, None), (server, client, self._watch)):
                threading.Thread(target=self._pump, args=(source, sink, watch), daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, watch: Callable[[bytes], bool] | None
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk)
                if watch is not None and watch(chunk):
                    self.cut()
                    return
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _body_of(handler: BaseHTTPRequestHandler) -> bytes:
    if "chunked" in handler.headers.get("Transfer-Encoding", ""):
        parts = []
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            parts.append(handler.rfile.read(size))
            handler.rfile.readline()
        handler.rfile.readline()
        return b"".join(parts)
    return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))


def _answer(
    handler: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    body: bytes,
    *,
    half: bool = False,
) -> None:
    handler.send_response_only(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body[: len(body) // 2] if half else body)
    if half:
        _cut(handler)


def _cut(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)


__all__ = ["Action", "Fault", "HttpProxy", "TcpProxy"]
