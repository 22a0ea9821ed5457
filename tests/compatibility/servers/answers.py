"""Whether a server answers."""

from __future__ import annotations

import http.client

TIMEOUT_S = 3.0


def answers(port: int, path: str, status: int = 200) -> bool:
    """Whether a GET on 127.0.0.1 gets that status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
