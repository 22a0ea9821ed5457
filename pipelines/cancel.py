"""Asking a unit of work to end: from the guard's thread, by an interrupt, or by the unit itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.errors import WorkCancelled

Callback = Callable[[str], None]
"""Ends what is under way (kills a query); gets the reason. Called from another thread, and again
while the unit has not ended, so it must be harmless to repeat."""


INTERRUPTED = "the run was interrupted"


class Cancel:
    """One unit's request to end; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callback] = []
        self._asked = threading.Event()
        self._reason = ""

    @property
    def reason(self) -> str | None:
        """Why the unit was asked to end, None while it was not."""
        return self._reason if self._asked.is_set() else None

    @contextmanager
    def on_cancel(self, callback: Callback) -> Iterator[None]:
        """Within the block a request to end calls ``callback``, at once when it was made before.

        An interrupt of the block's own thread (Ctrl-C, a terminated run) is such a request.
        """
        with self._lock:
            self._callbacks.append(callback)
            asked = self._asked.is_set()
        try:
            if asked:
                callback(self._reason)
            yield
        except Exception:
            raise
        except BaseException:
            callback(INTERRUPTED)
            raise
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    def cancel(self, reason: str) -> None:
        """Asks the unit to end; the first reason counts. Raises what a callback raises."""
        with self._lock:
            if not self._asked.is_set():
                self._reason = reason
                self._asked.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback(self._reason)

    def check(self) -> None:
        """Raises WorkCancelled when the unit was asked to end; for units that work in steps."""
        if self._asked.is_set():
            raise WorkCancelled(f"asked to end: {self._reason}")

    def wait(self, seconds: float) -> bool:
        """Waits at most ``seconds``; True as soon as the unit was asked to end."""
        return self._asked.wait(seconds)
