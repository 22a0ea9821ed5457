"""One SQL statement over Trino's HTTP protocol, for the health check."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_S = 5.0
# The first statements load classes; on a busy machine that was seen to take more than five seconds.
_QUERY_WITHIN_S = 15.0


class NoAnswerError(Exception):
    """Trino refuses, fails or is silent; the message says which."""


class Client:
    """A user of the Trino at 127.0.0.1:`port`, whose certificate is checked."""

    def __init__(self, port: int, user: str, password: str, ca_file: Path) -> None:
        login = b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "X-Trino-User": user}
        self._headers["X-Trino-Source"] = "devstack"
        self._port, self._ca_file = port, ca_file

    def is_started(self) -> bool:
        """Whether the server says that its start is over."""
        return self._call("GET", "/v1/info").get("starting") is False

    def query(self, sql: str) -> list[list[Any]]:
        """The rows of a short statement. Raises `NoAnswerError`."""
        deadline = time.monotonic() + _QUERY_WITHIN_S
        rows: list[list[Any]] = []
        answer = self._call("POST", "/v1/statement", sql)
        while "nextUri" in answer:
            if time.monotonic() > deadline:
                self._call("DELETE", urlsplit(answer["nextUri"]).path)
                raise NoAnswerError(f"no result within {_QUERY_WITHIN_S:.0f} s")
            answer = self._call("GET", urlsplit(answer["nextUri"]).path)
            rows += answer.get("data", [])
        if "error" in answer:
            raise NoAnswerError(str(answer["error"].get("message")))
        return rows

    def _call(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        connection: http.client.HTTPSConnection | None = None
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=_TIMEOUT_S, context=context
            )
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= http.client.BAD_REQUEST:
                raise NoAnswerError(f"HTTP {answer.status}")
            return dict(json.loads(content)) if content else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswerError(str(error)) from error
        finally:
            if connection is not None:
                connection.close()
