"""ClickHouse's HTTP interface as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from devstack.clickhouse import compression, errors
from devstack.clickhouse.answer import Pipe, Reply, Send
from devstack.clickhouse.engine import Engine, Outcome
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.intake import Intake, Receive
from devstack.clickhouse.query import Query, Runner
from devstack.clickhouse.request import Request
from devstack.clickhouse.statement import READING
from devstack.clickhouse.users import Users

_log = logging.getLogger(__name__)
_OK_PATHS = frozenset({"/ping", "/replicas_status"})
_SWEEP_INTERVAL_S = 1.0
_KILL_RETRY_S = 0.2
_LOGGED_CHARS = 300


class Application:
    """Serves `engine` to `users`; `workers` statements run at once, the others wait."""

    def __init__(
        self,
        engine: Engine,
        users: Users,
        *,
        default_database: str,
        max_body_bytes: int,
        workers: int,
    ) -> None:
        self._engine = engine
        self._users = users
        self._runner = Runner(engine, default_database=default_database)
        self._intake = Intake(engine.uploads, max_body_bytes)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="query")
        self._hostname = socket.gethostname()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        request = Request.of(scope)
        reply = self._reply(request, send)
        try:
            await self._route(request, receive, reply)
        except ServerError as error:
            _log.info(
                "query %s: code %d: %s", _query_id(reply), error.code, error.text[:_LOGGED_CHARS]
            )
            await reply.error(error)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        sweeping = asyncio.create_task(self._sweep())
        await receive()
        sweeping.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            await asyncio.to_thread(self._runner.sweep)

    def close(self) -> None:
        """Stop taking statements and close all sessions."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._runner.close()

    def _reply(self, request: Request, send: Send) -> Reply:
        coding = None
        if request.flag("enable_http_compression"):
            coding = compression.choose(request.headers.get("accept-encoding", ""))
        return Reply(
            send=send,
            headers={
                "X-ClickHouse-Server-Display-Name": self._hostname,
                "X-ClickHouse-Query-Id": _printable(request.params.get("query_id", ""))
                or str(uuid.uuid4()),
                "X-ClickHouse-Timezone": self._engine.timezone,
            },
            output="TabSeparated",
            coding=coding,
            wait_end=request.flag("wait_end_of_query"),
            version=self._engine.version,
            folder=self._engine.uploads,
            with_body=request.method != "HEAD",
        )

    async def _route(self, request: Request, receive: Receive, reply: Reply) -> None:
        if request.path in _OK_PATHS:
            await _plain(reply, 200, "Ok.\n")
        elif request.path != "/":
            await _plain(
                reply,
                404,
                f"There is no handle {request.path}\n\nUse / or /ping for health checks.\n"
                "Send queries from your program with POST method or GET /?query=...\n",
            )
        elif request.method not in ("GET", "HEAD", "POST"):
            await _plain(reply, 501, "Send queries with GET or POST\n")
        elif request.method != "POST" and not request.params.get("query"):
            await _plain(reply, 200, "Ok.\n")
        else:
            await self._query(request, receive, reply)

    async def _query(self, request: Request, receive: Receive, reply: Reply) -> None:
        user = request.authenticate(self._users)
        if request.flag("compress") or request.flag("decompress"):
            raise ServerError(
                errors.NOT_IMPLEMENTED,
                "ClickHouse's own block compression (compress=1, decompress=1) is not served; "
                "use Content-Encoding and Accept-Encoding",
            )
        async with AsyncExitStack() as stack:
            files: list[int] = []
            stack.callback(_close, files)
            query = await self._intake.read(request, receive, user, _query_id(reply), files)
            pipe = Pipe()
            stack.callback(pipe.close)
            running = self._pool.submit(self._runner.run, query, pipe.writing)
            owned = [pipe.writing, *files]
            files.clear()
            running.add_done_callback(lambda _: _close(owned))
            watch = asyncio.create_task(self._watch(receive, running, query))
            try:
                await replace(reply, output=query.output).rows(pipe, running)
            finally:
                watch.cancel()
                if not running.done():
                    await asyncio.shield(self._stop(running, query, pipe))

    async def _watch(self, receive: Receive, running: Future[Outcome], query: Query) -> None:
        """Stop a query that only reads when its client goes away; a write runs to its end."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if query.statement.kind in READING:
            await self._kill(running, query)

    async def _stop(self, running: Future[Outcome], query: Query, pipe: Pipe) -> None:
        """Stop a query whose answer nobody takes, and let it empty its pipe."""
        killing = asyncio.create_task(self._kill(running, query))
        while await pipe.read():
            pass
        await killing

    async def _kill(self, running: Future[Outcome], query: Query) -> None:
        while not running.cancel() and not running.done():
            await asyncio.to_thread(self._runner.kill, query)
            await asyncio.to_thread(wait, [running], _KILL_RETRY_S)


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _printable(value: str) -> str:
    """`value` without what could end a header line."""
    return "".join(character for character in value if " " <= character <= "~")


def _query_id(reply: Reply) -> str:
    return reply.headers["X-ClickHouse-Query-Id"]


async def _plain(reply: Reply, status: int, text: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=UTF-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await reply.send({"type": "http.response.start", "status": status, "headers": headers})
    sent = body if reply.with_body else b""
    await reply.send({"type": "http.response.body", "body": sent, "more_body": False})
