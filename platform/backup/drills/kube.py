# ruff: noqa: INP001, S310 - beside a pod's script, in no package; it opens one https address
"""The few calls to the Kubernetes API that the drills make, with the pod's own token."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://kubernetes.default.svc"
NOT_FOUND = 404


class DrillError(Exception):
    """A drill did not find what it should; the message says what was expected."""


def call(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """One request; None when there is no such object."""
    token = (ACCOUNT / "token").read_text(encoding="utf-8")
    request = urllib.request.Request(
        API + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except urllib.error.HTTPError as error:
        if error.code == NOT_FOUND:
            return None
        reason = error.read().decode(errors="replace")[:300]
        raise DrillError(f"{method} {path}: {error.code} {reason}") from error


def wait(
    what: str, look: Callable[[], bool], *, limit_s: float = 3600.0, every_s: float = 5.0
) -> None:
    """Look again and again until it is so; fail after the limit."""
    end = time.monotonic() + limit_s
    while not look():
        if time.monotonic() > end:
            raise DrillError(f"{what}: not within {limit_s:.0f} s")
        time.sleep(every_s)


def remove(path: str) -> None:
    """Delete an object, if it is there, and wait until it is gone."""
    if call("DELETE", path) is not None:
        wait(f"{path} is gone", lambda: call("GET", path) is None, limit_s=600.0)
