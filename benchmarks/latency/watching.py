"""Looks all the time at what ClickHouse holds, as any reader of the table would see it."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from benchmarks.latency.ages import Look
from ingest.clickhouse_client import connect
from ingest.settings import ClickHouseSettings

EVERY_S = 0.01
DRAIN_S = 120.0


class Watch:
    """Counts the table's rows a hundred times a second in a thread; keeps each change.

    The count comes from the parts' metadata, so it costs about the same however large the table is.
    """

    def __init__(self, settings: ClickHouseSettings, table: str) -> None:
        self._client = connect(settings)
        self._count = f"SELECT count() FROM {table}"
        self._looks = [Look(time.time(), self._rows())]
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    @property
    def looks(self) -> list[Look]:
        """Every change so far; raises what ended the watch, if anything did."""
        if self._failure is not None:
            raise self._failure
        return list(self._looks)

    @property
    def rows(self) -> int:
        """Rows at the last look."""
        return self.looks[-1].rows

    def until(self, rows: int) -> None:
        """Returns once the table holds ``rows``; raises TimeoutError when that takes too long."""
        deadline = time.monotonic() + DRAIN_S
        while self.rows < rows:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.rows:,} rows are visible {DRAIN_S:g} s after the load, not {rows:,}"
                )
            time.sleep(EVERY_S)

    def _watch(self) -> None:
        try:
            while not self._over.wait(EVERY_S):
                rows = self._rows()
                if rows != self._looks[-1].rows:
                    # After the answer: visible by now, not from now on.
                    self._looks.append(Look(time.time(), rows))
        except Exception as error:  # raised where the looks are asked for
            self._failure = error

    def _rows(self) -> int:
        return int(str(self._client.command(self._count)))
