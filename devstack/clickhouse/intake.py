"""From an HTTP request to a query: its statement, and its data in unnamed files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.clickhouse import errors
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.query import ExternalTable, Query
from devstack.clickhouse.request import Part, Request, multipart
from devstack.clickhouse.statement import Statement, parse
from devstack.clickhouse.upload import (
    MAX_STATEMENT_BYTES,
    Upload,
    save_bytes,
    statement_too_long,
)
from devstack.clickhouse.users import User

Receive = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Intake:
    """Reads requests; files go to `folder`, bodies end at `max_body_bytes` after decoding."""

    folder: Path
    max_body_bytes: int

    async def read(
        self, request: Request, receive: Receive, user: User, query_id: str, files: list[int]
    ) -> Query:
        """Read the whole request. Descriptors opened are added to `files`, also on an error."""
        coding = request.headers.get("content-encoding")
        upload = Upload(_chunks(receive), coding, max_bytes=self.max_body_bytes)
        external: tuple[ExternalTable, ...] = ()
        content_type = request.headers.get("content-type", "")
        if content_type.startswith("multipart/form-data"):
            parts = multipart(content_type, await upload.whole_statement())
            fields = {part.name: part.data.decode() for part in parts if not part.is_file}
            request.params.update(fields)
            external = self._external(request, [part for part in parts if part.is_file], files)
            upload = Upload(_nothing(), None, max_bytes=0)
        statement, skip = await _statement(request.params.get("query", "").encode(), upload)
        data: int | None = None
        if statement.data_at is not None:
            data = await self._data(statement, upload, skip)
            files.append(data)
        return Query(
            statement=statement,
            user=user,
            database=request.params.get("database") or request.headers.get("x-clickhouse-database"),
            settings=request.settings(frozenset(table.name for table in external)),
            params=request.bound(),
            default_format=_default_format(request),
            read_only=request.method != "POST",
            query_id=query_id,
            session_id=request.params.get("session_id") or None,
            session_timeout=request.params.get("session_timeout"),
            session_check=request.flag("session_check"),
            external=external,
            data=data,
        )

    async def _data(self, statement: Statement, upload: Upload, skip: int | None) -> int:
        """An INSERT's data in a file: from byte `skip` of the body, else from the statement."""
        if skip is not None:
            return await upload.save(skip, self.folder)
        return save_bytes(statement.source[statement.data_at :], self.folder)

    def _external(
        self, request: Request, parts: list[Part], files: list[int]
    ) -> tuple[ExternalTable, ...]:
        tables = []
        for part in parts:
            files.append(save_bytes(part.data, self.folder))
            structure = request.params.get(f"{part.name}_structure")
            if structure is None:
                types = request.params.get(f"{part.name}_types", "").split(",")
                structure = ", ".join(f"_{at} {kind}" for at, kind in enumerate(types, 1))
            kind = request.params.get(f"{part.name}_format", "TabSeparated")
            tables.append(ExternalTable(part.name, structure, kind, files[-1]))
        return tuple(tables)


async def _statement(given: bytes, upload: Upload) -> tuple[Statement, int | None]:
    """The statement, and how many bytes of the body's head precede an INSERT's data.

    The text is the `query` parameter followed by the body; None where the data is all in the
    text of the statement.
    """
    if given:
        return await _given_statement(given, upload)
    head = await upload.fill_head()
    try:
        statement = parse(head)
    except ServerError:
        if upload.complete:
            raise
        # A longer head holds more of the statement: an INSERT's data may lie behind it.
        statement = _parse_beginning(await upload.fill_head(MAX_STATEMENT_BYTES), upload)
    if statement.data_at is None and not upload.complete:
        statement = parse(await upload.whole_statement())
    return statement, statement.data_at


def _parse_beginning(head: bytes, upload: Upload) -> Statement:
    try:
        return parse(head)
    except ServerError:
        if upload.complete:
            raise
        raise statement_too_long() from None


async def _given_statement(given: bytes, upload: Upload) -> tuple[Statement, int | None]:
    head = await upload.fill_head()
    if not head:
        return parse(given), None
    try:
        alone = parse(given)
    except ServerError:
        alone = None  # it may go on in the body
    if alone is not None and alone.data_at is not None and not given[alone.data_at :].strip():
        return alone, 0
    return parse(given + b"\n" + await upload.whole_statement()), None


def _default_format(request: Request) -> str:
    name = request.params.get("default_format") or request.headers.get("x-clickhouse-format")
    if name and not name.isidentifier():
        raise ServerError(errors.UNKNOWN_FORMAT, f"Unknown format {name}")
    return name or "TabSeparated"


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
    return
    yield b""
