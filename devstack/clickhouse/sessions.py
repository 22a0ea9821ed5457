"""HTTP sessions: engine connections that outlive a request and carry SET and temporary tables."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from devstack.clickhouse import errors
from devstack.clickhouse.engine import Connection, Engine
from devstack.clickhouse.errors import ServerError

_DEFAULT_TIMEOUT_S = 60.0
_MAX_TIMEOUT_S = 3600.0


@dataclass
class Session:
    """A connection, the database that USE chose, and the settings that SET changed.

    `settings_known` is empty until a request needs to give settings back after itself.
    """

    connection: Connection
    database: str | None = None
    settings_known: dict[str, str | None] = field(default_factory=dict)
    busy: bool = False
    timeout_s: float = _DEFAULT_TIMEOUT_S
    idle_since: float = field(default_factory=time.monotonic)

    def expired(self, now: float) -> bool:
        """Whether nobody has used it for its whole timeout."""
        return not self.busy and now - self.idle_since > self.timeout_s


class Sessions:
    """All named sessions of one engine; safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._by_key: dict[tuple[str, str], Session] = {}

    def acquire(self, user: str, name: str, *, timeout: str | None, must_exist: bool) -> Session:
        """The session `name` of `user`, made when new, held until `release`.

        Raises `ServerError`: SESSION_IS_LOCKED while another request holds it, SESSION_NOT_FOUND,
        INVALID_SESSION_TIMEOUT.
        """
        timeout_s = _timeout(timeout)
        with self._lock:
            session = self._by_key.get((user, name))
            if session is None:
                if must_exist:
                    raise ServerError(errors.SESSION_NOT_FOUND, f"Session {name} not found")
                session = Session(self._engine.connect())
                self._by_key[user, name] = session
            if session.busy:
                text = f"Session {name} is locked by a concurrent client"
                raise ServerError(errors.SESSION_IS_LOCKED, text)
            session.busy, session.timeout_s = True, timeout_s
            return session

    def release(self, session: Session) -> None:
        """Let other requests have the session."""
        with self._lock:
            session.busy, session.idle_since = False, time.monotonic()

    def sweep(self) -> None:
        """Close the sessions that have expired."""
        now = time.monotonic()
        with self._lock:
            dead = [key for key, session in self._by_key.items() if session.expired(now)]
            closing = [self._by_key.pop(key) for key in dead]
        for session in closing:
            session.connection.close()

    def close(self) -> None:
        """Close all sessions."""
        with self._lock:
            closing = list(self._by_key.values())
            self._by_key.clear()
        for session in closing:
            session.connection.close()


def _timeout(given: str | None) -> float:
    if given is None:
        return _DEFAULT_TIMEOUT_S
    if not given.isdecimal():
        raise ServerError(errors.INVALID_SESSION_TIMEOUT, f"Invalid session timeout: '{given}'")
    if int(given) > _MAX_TIMEOUT_S:
        text = f"Session timeout '{given}' is larger than max_session_timeout: 3600"
        raise ServerError(errors.INVALID_SESSION_TIMEOUT, text)
    return float(given)
