"""Room for tombstones in a full dead-letter stream.

A stream with ``discard: new`` refuses even the message that would roll up a larger one. So a full
one is enlarged for as long as entries are being changed, and gets its size back afterwards.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import structlog

from ingest.dlq import STREAM
from ingest.nats_link import NatsLink

log = structlog.get_logger(__name__)

SPARE_BYTES = 1 << 20


class Room:
    """Enlarges the dead-letter stream on demand; at its end the former size is in force again.

    If the process is killed inside, the stream stays larger, which loses nothing; `ingest init`
    tells the difference.
    """

    def __init__(self, link: NatsLink) -> None:
        self._link = link
        self._former: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._former is not None:
            await self._resize_back(self._former)

    async def make(self, size: int) -> None:
        """Makes room for a message of ``size`` bytes and some headers."""
        config = (await self._link.api(f"STREAM.INFO.{STREAM}", {}))["config"]
        if self._former is None:
            self._former = int(config["max_bytes"])
        larger = int(config["max_bytes"]) + size + SPARE_BYTES
        log.info("dlq_enlarged", stream=STREAM, max_bytes=larger, former=self._former)
        await self._link.api(f"STREAM.UPDATE.{STREAM}", {**config, "max_bytes": larger})

    async def _resize_back(self, former: int) -> None:
        info = await self._link.api(f"STREAM.INFO.{STREAM}", {})
        if info["state"]["bytes"] > former:
            log.warning("dlq_stays_enlarged", stream=STREAM, bytes=info["state"]["bytes"])
            return
        await self._link.api(f"STREAM.UPDATE.{STREAM}", {**info["config"], "max_bytes": former})
