"""ClickHouse's HTTP interface as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

from devstack.clickhouse import compression, errors
from devstack.clickhouse.answer import Pipe, Reply, Send
from devstack.clickhouse.engine import Engine, Outcome
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.query import ExternalTable, Query, Runner
from devstack.clickhouse.request import Part, Request, multipart
from devstack.clickhouse.statement import READING, Statement, parse
from devstack.clickhouse.upload import Upload, save_bytes
from devstack.clickhouse.users import User, Users

Receive = Callable[[], Awaitable[dict[str, Any]]]

_log = logging.getLogger(__name__)
_OK_PATHS = frozenset({"/ping", "/replicas_status"})
_SWEEP_INTERVAL_S = 1.0
_KILL_RETRY_S = 0.2


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
        self._max_body_bytes = max_body_bytes
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="query")
        self._hostname = socket.gethostname()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        request = Request.of(scope)
        reply = self._reply(request, send)
        try:
            await self._route(request, receive, reply)
        except ServerError as error:
            _log.info("query %s: code %d: %s", _query_id(reply), error.code, error.text)
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
                "X-ClickHouse-Query-Id": request.params.get("query_id") or str(uuid.uuid4()),
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
            stack.callback(lambda: [os.close(file) for file in files])
            query, data = await self._prepare(request, receive, user, files)
            pipe = Pipe()
            stack.callback(pipe.close)
            running = self._pool.submit(
                self._runner.run, query, rows_to=pipe.writing, data_from=data
            )
            owned, files[:] = files[:], []
            running.add_done_callback(lambda _: _close([*owned], pipe))
            watch = asyncio.create_task(self._watch(receive, running, query))
            try:
                with_output = _with_output(reply, query)
                await with_output.rows(pipe, running)
            finally:
                watch.cancel()
                if not running.done():
                    await asyncio.shield(self._stop(running, query, pipe))

    async def _prepare(
        self, request: Request, receive: Receive, user: User, files: list[int]
    ) -> tuple[Query, int | None]:
        """Read the request's body and make its query; descriptors opened go to `files`."""
        upload = Upload(
            _chunks(receive),
            request.headers.get("content-encoding"),
            max_bytes=self._max_body_bytes,
        )
        external: tuple[ExternalTable, ...] = ()
        content_type = request.headers.get("content-type", "")
        if content_type.startswith("multipart/form-data"):
            parts = multipart(content_type, await upload.fill_statement())
            request.params.update(
                {part.name: part.data.decode() for part in parts if not part.is_file}
            )
            external = self._external(request, [part for part in parts if part.is_file], files)
            upload = Upload(_nothing(), None, max_bytes=0)
        statement, skip = await _statement(request.params.get("query", "").encode(), upload)
        data: int | None = None
        if statement.data_at is not None:
            data = await self._data(statement, upload, skip)
            files.append(data)
        names = frozenset(table.name for table in external)
        query = Query(
            statement=statement,
            user=user,
            database=request.params.get("database") or request.headers.get("x-clickhouse-database"),
            settings=request.settings(names),
            params=request.bound(),
            default_format=_default_format(request),
            read_only=request.method != "POST",
            session_id=request.params.get("session_id") or None,
            session_timeout=request.params.get("session_timeout"),
            session_check=request.flag("session_check"),
            external=external,
        )
        return query, data

    async def _data(self, statement: Statement, upload: Upload, skip: int | None) -> int:
        """An INSERT's data in a file: the rest of the statement's text, then of the body."""
        if skip is not None:
            return await upload.save(skip, self._engine.uploads)
        assert statement.data_at is not None
        return save_bytes(statement.source[statement.data_at :], self._engine.uploads)

    def _external(
        self, request: Request, parts: list[Part], files: list[int]
    ) -> tuple[ExternalTable, ...]:
        tables = []
        for part in parts:
            files.append(save_bytes(part.data, self._engine.uploads))
            structure = request.params.get(f"{part.name}_structure")
            if structure is None:
                types = request.params.get(f"{part.name}_types", "").split(",")
                structure = ", ".join(f"_{at} {kind}" for at, kind in enumerate(types, 1))
            kind = request.params.get(f"{part.name}_format", "TabSeparated")
            tables.append(ExternalTable(part.name, structure, kind, files[-1]))
        return tuple(tables)

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
            await asyncio.wait({asyncio.wrap_future(running)}, timeout=_KILL_RETRY_S)


async def _statement(given: bytes, upload: Upload) -> tuple[Statement, int | None]:
    """The statement, and how many bytes of the body's head precede an INSERT's data.

    The text is the `query` parameter followed by the body; None where the data is all in the
    text of the statement.
    """
    head = await upload.fill_head()
    if given:
        alone = _parsed_whole(given)
        if alone is not None and alone.data_at is not None and (head or not upload.complete):
            if alone.data_at >= len(given.rstrip()):
                return alone, 0
        elif alone is not None and not head:
            return alone, None
        joined = given + (b"\n" + await upload.fill_statement() if head else b"")
        return parse(joined), None
    try:
        statement = parse(head)
    except ServerError:
        if upload.complete:
            raise
        statement = parse(await upload.fill_statement())
    if statement.data_at is None and not upload.complete:
        statement = parse(await upload.fill_statement())
    return statement, statement.data_at


def _parsed_whole(text: bytes) -> Statement | None:
    try:
        return parse(text)
    except ServerError:
        return None


def _close(files: list[int], pipe: Pipe) -> None:
    for file in files:
        os.close(file)
    pipe.close_writing()


def _default_format(request: Request) -> str:
    name = request.params.get("default_format") or request.headers.get("x-clickhouse-format")
    if name and not name.isidentifier():
        raise ServerError(errors.UNKNOWN_FORMAT, f"Unknown format {name}")
    return name or "TabSeparated"


def _with_output(reply: Reply, query: Query) -> Reply:
    from dataclasses import replace

    return replace(reply, output=query.output)


def _query_id(reply: Reply) -> str:
    return reply.headers["X-ClickHouse-Query-Id"]


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            text = "The client went away before it had sent the whole request"
            raise ServerError(errors.BAD_REQUEST_PARAMETER, text)
        if message.get("body"):
            yield message["body"]
        more = message.get("more_body", False)


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in ():
        yield chunk


async def _plain(reply: Reply, status: int, text: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=UTF-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await reply.send({"type": "http.response.start", "status": status, "headers": headers})
    sent = body if reply.with_body else b""
    await reply.send({"type": "http.response.body", "body": sent, "more_body": False})
