"""One statement on Trino at a time, with its cost, and a way to end it from another thread.

A killed statement ends as WorkCancelled and is no failure. Errors of the server are sorted by its
error type and name, never by their text.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import trino.dbapi
from requests import RequestException, Session
from trino.exceptions import Error as TrinoError
from trino.exceptions import HttpError, TrinoQueryError

from pipelines.cancel import Cancel
from pipelines.errors import PipelineError, TrinoRefused, TrinoUnavailable
from pipelines.settings import TrinoSettings
from pipelines.trino_errors import refuse_by_status, translate
from pipelines.trino_link import address_of

MAINTENANCE = "iot-maintenance"
"""Source of statements that rewrite; Trino's resource groups tell them by it."""
QUERIES = "iot-pipelines"
"""Source of every other statement."""

ENDED = ("FINISHED", "FAILED")
"""States of a query that is over, in system.runtime.queries."""

_TRIES = 4
_PAUSE_S = 0.5
_ATTEMPTS = 3
_KILL_WITHIN_S = 10


@dataclass(frozen=True)
class Statement:
    """A statement that ended well: its rows and what it cost.

    ``elapsed_s`` runs from the arrival in Trino's queue; ``cpu_s`` is the sum over all nodes;
    ``bytes_read`` counts what came from the object store, ``rows_read`` what the scans gave.
    """

    query_id: str
    rows: list[tuple[Any, ...]]
    elapsed_s: float
    queued_s: float
    cpu_s: float
    peak_memory_bytes: int
    rows_read: int
    bytes_read: int
    bytes_written: int


class Trino:
    """Statements on one Trino.

    ``source`` chooses the resource group; ``session`` are session properties (those of a catalog as
    ``catalog.name``). An impatient one gives up at the first failure and waits for an answer no
    longer than for a connection: for sensors and doctors.
    """

    def __init__(
        self,
        settings: TrinoSettings,
        source: str = QUERIES,
        *,
        session: Mapping[str, str] | None = None,
        patient: bool = True,
    ) -> None:
        self.settings = settings
        self._address = address_of(settings)
        self._source = source
        self._patient = patient
        limit = {"query_max_run_time": f"{math.ceil(settings.query_timeout_s)}s"}
        self._session = {**limit, **(session or {})}

    @property
    def catalog(self) -> str:
        """Trino's name of the Iceberg catalog."""
        return self.settings.catalog

    def with_session(self, session: Mapping[str, str]) -> Trino:
        """The same Trino with more session properties."""
        both = {**self._session, **session}
        return Trino(self.settings, self._source, session=both, patient=self._patient)

    def query(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement that only reads. Raises as ``execute``."""
        return self.execute(sql, params, repeatable=True).rows

    def execute(
        self,
        sql: str,
        params: Sequence[object] = (),
        cancel: Cancel | None = None,
        *,
        repeatable: bool = False,
    ) -> Statement:
        """Runs one statement to its end; ``?`` in it are bound to ``params``.

        A transient failure is tried again only when the statement is ``repeatable``. Raises
        TrinoUnavailable, TrinoRefused, TrinoLimitReached, and WorkCancelled when it was killed.
        """
        tries = _TRIES if repeatable and self._patient else 1
        for left in reversed(range(tries)):
            try:
                return self._once(sql, params, cancel or Cancel())
            except TrinoUnavailable:
                if left == 0:
                    raise
                time.sleep(_PAUSE_S * 2 ** (tries - left) * random.uniform(0.5, 1.5))
        raise AssertionError

    def kill(self, query_id: str, message: str) -> None:
        """Ends a query, whoever runs it; harmless when it has ended. Raises as ``execute``."""
        killer = Trino(self.settings, patient=False)
        try:
            killer.execute(
                "CALL system.runtime.kill_query("
                f"query_id => {literal(query_id)}, message => {literal(message)})"
            )
        except TrinoRefused:
            if killer.is_running(query_id):
                raise

    def is_running(self, query_id: str) -> bool:
        """Whether the query has been sent and has not ended. Raises as ``execute``."""
        sql = "SELECT state FROM system.runtime.queries WHERE query_id = ?"
        return any(state not in ENDED for (state,) in self.query(sql, (query_id,)))

    def _once(self, sql: str, params: Sequence[object], cancel: Cancel) -> Statement:
        cancel.check()
        with self._connection() as connection:
            running = _Running(self, cancel)
            cursor = connection.cursor(stats_callback=running.seen)
            try:
                with cancel.on_cancel(running.kill):
                    cursor.execute(sql, tuple(params) or None)
                    rows = [tuple(row) for row in cursor.fetchall()]
                    return _statement(rows, cursor.stats)
            except TrinoQueryError as error:
                raise translate(error, self._address.shown, cancel) from error
            except (TrinoError, HttpError, RequestException, ValueError) as error:
                self._give_up(running)
                raise translate(error, self._address.shown, cancel) from error
            except BaseException:
                self._give_up(running)
                raise

    def _give_up(self, running: _Running) -> None:
        """Kills what nobody waits for any more; Trino itself would do so minutes later.

        Statements of an impatient client are short, and one of them is the killing itself.
        """
        if self._patient:
            with suppress(PipelineError):
                running.kill("its client no longer waits")

    @contextmanager
    def _connection(self) -> Iterator[trino.dbapi.Connection]:
        settings = self.settings
        with Session() as http:
            # Settings alone decide: no proxies, CA bundles or .netrc of the shell.
            http.trust_env = False
            http.verify = str(settings.ca_file) if settings.ca_file else True
            http.hooks["response"].append(refuse_by_status)
            answer_s = settings.answer_timeout_s if self._patient else settings.connect_timeout_s
            yield trino.dbapi.Connection(
                host=self._address.host,
                port=self._address.port,
                http_scheme=self._address.scheme,
                user=self._address.user,
                auth=self._address.auth(),
                http_session=http,
                source=self._source,
                catalog=settings.catalog,
                session_properties=self._session,
                timezone="UTC",
                # A statement starts with the first look at its queue entry, so that sending it
                # again after a lost answer cannot run it twice.
                max_attempts=_ATTEMPTS if self._patient else 1,
                request_timeout=(settings.connect_timeout_s, answer_s),
                legacy_prepared_statements=False,
            )


class _Running:
    """The id of a running query as soon as it is known, to kill it by."""

    def __init__(self, trino_: Trino, cancel: Cancel) -> None:
        self._trino = trino_
        self._cancel = cancel
        self._query_id = ""
        self._killing = threading.Lock()

    def seen(self, stats: dict[str, Any]) -> None:
        """Called with every answer of Trino, in the thread that waits for it."""
        if not self._query_id:
            self._query_id = str(stats["queryId"])
            # Asked to end between the statement's sending and its first answer.
            if self._cancel.reason is not None:
                self.kill(self._cancel.reason)

    def kill(self, reason: str) -> None:
        """Kills the query; called again while it has not ended."""
        if self._query_id and self._killing.acquire(timeout=_KILL_WITHIN_S):
            try:
                self._trino.kill(self._query_id, reason)
            finally:
                self._killing.release()


def quoted(*names: str) -> str:
    """A name with its qualifiers as SQL: ``"a"."b"``."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: str | float | datetime) -> str:
    """A value as SQL, for statements that take no parameters (``ALTER TABLE ... EXECUTE``).

    A datetime becomes a timestamp in UTC, to the microsecond. Raises ValueError for one without a
    time zone.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return f"TIMESTAMP '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC'"
    return "'" + value.replace("'", "''") + "'"


def _statement(rows: list[tuple[Any, ...]], stats: Mapping[str, Any]) -> Statement:
    return Statement(
        query_id=str(stats["queryId"]),
        rows=rows,
        elapsed_s=stats["elapsedTimeMillis"] / 1000,
        queued_s=stats["queuedTimeMillis"] / 1000,
        cpu_s=stats["cpuTimeMillis"] / 1000,
        peak_memory_bytes=int(stats["peakMemoryBytes"]),
        rows_read=int(stats["processedRows"]),
        bytes_read=int(stats.get("physicalInputBytes", 0)),
        bytes_written=int(stats.get("physicalWrittenBytes", 0)),
    )
