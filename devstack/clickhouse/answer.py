"""From a running query to an HTTP response: buffered while small, streamed when large."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.clickhouse import compression, errors
from devstack.clickhouse.engine import Outcome
from devstack.clickhouse.errors import ServerError

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_CHUNK_BYTES = 1 << 20
_MEMORY_BYTES = 4 << 20
_MAX_RESULT_BYTES = 4 << 30
_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "JSON": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "Native": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "RowBinary": "application/octet-stream",
}


class Pipe:
    """Where the engine writes rows: a kernel pipe, so a slow client slows the query down."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)

    async def read(self) -> bytes:
        """The next bytes; empty when the writing end is closed."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self.reading, _CHUNK_BYTES)
            except BlockingIOError:
                readable = loop.create_future()
                loop.add_reader(self.reading, _wake, readable)
                try:
                    await readable
                finally:
                    loop.remove_reader(self.reading)

    def close(self) -> None:
        """Close the reading end; a query that still writes fails."""
        os.close(self.reading)


@dataclass(frozen=True)
class Reply:
    """How to answer: the headers common to success and failure, coding and buffering."""

    send: Send
    headers: dict[str, str]
    output: str
    coding: str | None
    wait_end: bool
    version: str
    folder: Path
    with_body: bool = True

    async def rows(self, pipe: Pipe, running: Future[Outcome]) -> None:
        """Send what the query writes. Raises `ServerError` while nothing has been sent."""
        with tempfile.SpooledTemporaryFile(_MEMORY_BYTES, dir=str(self.folder)) as buffer:
            size = 0
            while chunk := await pipe.read():
                buffer.write(chunk)
                size += len(chunk)
                if size > _MAX_RESULT_BYTES:
                    raise ServerError(errors.TOO_MANY_BYTES, "The result is larger than 4 GiB")
                if size > _MEMORY_BYTES and not self.wait_end:
                    buffer.seek(0)
                    await self._stream(buffer.read(), pipe, running)
                    return
            outcome = result(running)
            buffer.seek(0)
            await self._whole(outcome, buffer, size)

    async def error(self, error: ServerError) -> None:
        """Send an error as the whole response."""
        body = error.body(self.version).encode()
        headers = self.headers | {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Exception-Code": str(error.code),
            "Content-Length": str(len(body)),
        }
        await self._start(error.status, headers)
        await self._body(body if self.with_body else b"", more=False)

    async def _whole(self, outcome: Outcome, buffer: Any, size: int) -> None:
        """Send a finished result, its summary in the header."""
        headers = self._success() | {"X-ClickHouse-Summary": summary(outcome)}
        if size == 0 and outcome.data:
            buffer.write(outcome.data)
            buffer.seek(0)
            size = len(outcome.data)
        if self.coding is None or size == 0:
            await self._start(200, headers | {"Content-Length": str(size)})
            if size == 0 or not self.with_body:
                await self._body(b"", more=False)
                return
            pieces = _pieces(buffer)
        else:
            await self._start(200, headers | {"Content-Encoding": self.coding})
            pieces = _encoded(_pieces(buffer), self.coding)
        async for piece in pieces:
            await self._body(piece, more=True)
        await self._body(b"", more=False)

    async def _stream(self, first: bytes, pipe: Pipe, running: Future[Outcome]) -> None:
        """Send a result while it grows; a failure is written behind it, under a secret tag."""
        tag = secrets.token_hex(8)
        headers = self._success() | {"X-ClickHouse-Exception-Tag": tag}
        if self.coding is not None:
            headers["Content-Encoding"] = self.coding
        await self._start(200, headers)
        pieces = _with_failure(first, pipe, running, tag=tag, version=self.version)
        if self.coding is not None:
            pieces = _encoded(pieces, self.coding)
        async for piece in pieces:
            await self._body(piece, more=True)
        if not running.cancelled() and running.exception() is None:
            await self._body(b"", more=False)
        # Else the connection is closed without the last chunk: the client sees a broken body.

    def _success(self) -> dict[str, str]:
        return self.headers | {
            "Content-Type": _CONTENT_TYPES.get(self.output, "text/plain; charset=UTF-8"),
            "X-ClickHouse-Format": self.output,
        }

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": more})


def summary(outcome: Outcome) -> str:
    """The X-ClickHouse-Summary header: counts as strings, the way the server writes them."""
    counts = {
        "read_rows": outcome.read_rows,
        "read_bytes": outcome.read_bytes,
        "written_rows": outcome.written_rows,
        "written_bytes": outcome.written_bytes,
        "total_rows_to_read": outcome.read_rows,
        "result_rows": outcome.result_rows or outcome.written_rows,
        "result_bytes": len(outcome.data) or outcome.written_bytes,
        "elapsed_ns": int(outcome.elapsed_seconds * 1e9),
    }
    return json.dumps({name: str(count) for name, count in counts.items()}, separators=(",", ":"))


def result(running: Future[Outcome]) -> Outcome:
    """What a statement came to, once its pipe has ended: nobody closes that before."""
    if running.cancelled():
        raise ServerError(errors.QUERY_WAS_CANCELLED, "Query was cancelled before it began")
    return running.result()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def _pieces(buffer: Any) -> AsyncIterator[bytes]:
    while piece := buffer.read(_CHUNK_BYTES):
        yield piece


async def _with_failure(
    first: bytes, pipe: Pipe, running: Future[Outcome], *, tag: str, version: str
) -> AsyncIterator[bytes]:
    yield first
    while chunk := await pipe.read():
        yield chunk
    try:
        result(running)
    except ServerError as error:
        message = error.body(version)
        size = len(message.encode())
        text = f"\r\n__exception__\r\n{tag}\r\n{message}{size} {tag}\r\n__exception__\r\n"
        yield text.encode()


async def _encoded(pieces: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    encoder = compression.encoder(coding)
    async for piece in pieces:
        if packed := await asyncio.to_thread(encoder.compress, piece):
            yield packed
    yield encoder.flush()
