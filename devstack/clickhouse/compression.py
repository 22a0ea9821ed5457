"""HTTP content codings in both directions, a chunk at a time."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
import zstandard

from devstack.clickhouse import errors
from devstack.clickhouse.errors import ServerError

_GZIP_WINDOW = 31
_FAST = 1


class Decoder(Protocol):
    """Turns compressed chunks into plain ones."""

    @property
    def eof(self) -> bool:
        """Whether the compressed stream has come to its own end."""

    @property
    def unused_data(self) -> bytes | None:
        """What came behind the end."""

    def decompress(self, data: bytes, /) -> bytes:
        """The plain bytes that `data` completes."""


class Encoder(Protocol):
    """Turns plain chunks into compressed ones; `flush` ends the stream."""

    def compress(self, data: bytes, /) -> bytes:
        """The compressed bytes that `data` completes."""

    def flush(self) -> bytes:
        """What is left, and the end of the stream."""


class _Lz4Encoder:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        self._begun = True
        return bytes(head + self._frame.compress(data))

    def flush(self) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        return bytes(head + self._frame.flush())


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": lambda: zlib.decompressobj(_GZIP_WINDOW),
    "deflate": zlib.decompressobj,
}
# In the order of preference when a client accepts several.
_ENCODERS: dict[str, Callable[[], Encoder]] = {
    "lz4": _Lz4Encoder,
    "zstd": lambda: zstandard.ZstdCompressor(_FAST).compressobj(),
    "gzip": lambda: zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP_WINDOW),
    "deflate": lambda: zlib.compressobj(_FAST),
}


def decoder(coding: str | None) -> Decoder | None:
    """A decoder for a Content-Encoding; None for plain bodies; raises for unknown ones."""
    if coding in (None, "", "identity"):
        return None
    make = _DECODERS.get(str(coding).lower())
    if make is None:
        raise ServerError(
            errors.UNKNOWN_COMPRESSION_METHOD,
            f"Unknown compression method: {coding}. Supported: {', '.join(_DECODERS)}",
        )
    return make()


def choose(accepted: str) -> str | None:
    """The coding to answer with for an Accept-Encoding header; None to answer plain."""
    names = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    return next((name for name in _ENCODERS if name in names), None)


def encoder(coding: str) -> Encoder:
    """An encoder for a coding that `choose` returned."""
    return _ENCODERS[coding]()
