"""The HTTP endpoint of a process: /metrics, /healthz and /readyz."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.registry import CollectorRegistry

from ingest.errors import SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Probe = Callable[[], str | None]
"""None when all is well, else one sentence."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Says nothing: a probe every few seconds is no event."""


class Probes:
    """Serves in a thread of its own, so that a busy writer still answers.

    ``port`` 0 takes a free one; ``address`` tells which.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, *, healthy: Probe, ready: Probe
    ) -> None:
        metrics = make_wsgi_app(registry)

        def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "/")
            if path == "/metrics":
                exported: Iterable[bytes] = metrics(environ, start)
                return exported
            if path in {"/healthz", "/readyz"}:
                problem = (healthy if path == "/healthz" else ready)()
                return _answer(start, "503 Service Unavailable" if problem else "200 OK", problem)
            return _answer(start, "404 Not Found", "try /metrics, /healthz or /readyz")

        try:
            self._server: WSGIServer = make_server(host, port, app, handler_class=_Quiet)
        except OSError as error:
            raise SettingsError(
                f"http: {host}:{port} cannot be listened on ({error.strerror}); choose another"
                " IOT_HTTP__HOT_PORT or IOT_HTTP__LAKE_PORT (0 takes a free one)"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """host:port that is listened on."""
        return f"{self._server.server_name}:{self._server.server_port}"

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()


def _answer(start: StartResponse, status: str, text: str | None) -> list[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text or 'ok'}\n".encode()]
