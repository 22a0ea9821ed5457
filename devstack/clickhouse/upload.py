"""A request's body: decoded as it arrives, its head in memory, the rest straight into a file."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import zstandard

from devstack.clickhouse import compression, errors
from devstack.clickhouse.errors import ServerError

_HEAD_BYTES = 256 << 10
MAX_STATEMENT_BYTES = 16 << 20


class Upload:
    """The decoded body of one request; at most `max_bytes` of it are taken."""

    def __init__(self, chunks: AsyncIterator[bytes], coding: str | None, *, max_bytes: int) -> None:
        self._chunks = chunks
        self._decoder = compression.decoder(coding)
        self._coding = coding
        self._max_bytes = max_bytes
        self._taken = 0
        self.head = b""
        self.complete = False

    async def fill_head(self, limit: int = _HEAD_BYTES) -> bytes:
        """Read on until `head` holds `limit` bytes or the whole body."""
        parts = [self.head]
        size = len(self.head)
        while size < limit and (chunk := await self._next()) is not None:
            parts.append(chunk)
            size += len(chunk)
        self.head = b"".join(parts)
        return self.head

    async def whole_statement(self) -> bytes:
        """The whole body, which is a statement's text; raises when it is longer than one may be."""
        head = await self.fill_head(MAX_STATEMENT_BYTES + 1)
        if len(head) > MAX_STATEMENT_BYTES:
            raise statement_too_long()
        return head

    async def save(self, skip: int, folder: Path) -> int:
        """Write the body from byte `skip` of `head` to an unnamed file; return its descriptor.

        The caller closes the descriptor; nothing else is left behind, even by a kill.
        """
        file = _unnamed(folder)
        try:
            _write(file, memoryview(self.head)[skip:])
            while (chunk := await self._next()) is not None:
                _write(file, memoryview(chunk))
        except BaseException:
            os.close(file)
            raise
        return file

    async def _next(self) -> bytes | None:
        """The next decoded chunk; None at the end."""
        if self.complete:
            return None
        chunk = await anext(self._chunks, None)
        if chunk is None:
            self.complete = True
            if self._decoder is not None and not self._decoder.eof:
                raise self._broken("it ends early")
            return None
        plain = self._decode(chunk)
        self._taken += len(plain)
        if self._taken > self._max_bytes:
            raise ServerError(
                errors.TOO_MANY_BYTES,
                f"The request body is larger than the limit of {self._max_bytes} bytes",
            )
        return plain

    def _decode(self, chunk: bytes) -> bytes:
        if self._decoder is None:
            return chunk
        plain = b""
        try:
            while chunk:
                if self._decoder.eof:  # several frames, one behind the other, are one body
                    self._decoder = compression.decoder(self._coding)
                    assert self._decoder is not None
                plain += self._decoder.decompress(chunk)
                chunk = self._decoder.unused_data or b"" if self._decoder.eof else b""
        except (zlib.error, zstandard.ZstdError, RuntimeError) as error:
            raise self._broken(str(error)) from None
        return plain

    def _broken(self, why: str) -> ServerError:
        text = f"Cannot decompress the {self._coding} request body: {why}"
        return ServerError(errors.BAD_REQUEST_PARAMETER, text)


def statement_too_long() -> ServerError:
    """The error for a statement beyond `MAX_STATEMENT_BYTES`, an INSERT's data not counted."""
    return ServerError(errors.QUERY_IS_TOO_LARGE, "The statement is longer than 16 MiB")


def save_bytes(data: bytes, folder: Path) -> int:
    """Write `data` to an unnamed file; return its descriptor, which the caller closes."""
    file = _unnamed(folder)
    _write(file, memoryview(data))
    return file


def _unnamed(folder: Path) -> int:
    file, name = tempfile.mkstemp(dir=folder)
    Path(name).unlink()
    return file


def _write(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]
