# ruff: noqa: INP001 - a pod runs it alone, in no package
"""Accepts Lakekeeper's terms once and makes the warehouse of the lake; changes nothing else.

Safe to repeat. A new S3 key in the environment is handed on to the warehouse; every other
difference is a person's decision and fails the job with the difference.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 30
TRIES = 30
COMPARED = ("bucket", "endpoint", "region", "path-style-access", "sts-enabled")


class Lakekeeper:
    """The management interface."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/management/v1"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer to GET, or to POST of ``body``; {} without content."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is a setting of ours
            self._url + path, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            text = answer.read()
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    def wait(self) -> dict[str, Any]:
        """What the server says of itself, once it answers."""
        for left in reversed(range(TRIES)):
            try:
                return self.ask("/info")
            except OSError as error:
                if left == 0:
                    raise
                print(f"waiting for {self._url}: {error}", flush=True)  # noqa: T201
                time.sleep(5)
        raise AssertionError


def profile() -> dict[str, Any]:
    """The storage profile: clients bring keys of their own, none is lent to them."""
    return {
        "type": "s3",
        "flavor": "s3-compat",
        "bucket": os.environ["S3_BUCKET"],
        "endpoint": os.environ["S3_ENDPOINT"],
        "region": os.environ["S3_REGION"],
        "path-style-access": True,
        "sts-enabled": False,
        "remote-signing-enabled": False,
    }


def credential() -> dict[str, str]:
    """The key by which Lakekeeper itself writes metadata."""
    return {
        "type": "s3",
        "credential-type": "access-key",
        "access-key-id": os.environ["S3_ACCESS_KEY"],
        "secret-access-key": os.environ["S3_SECRET_KEY"],
    }


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Sentences on what an existing warehouse's profile has otherwise."""
    return [
        f"{name} is {found.get(name)!r}, expected {wanted[name]!r}"
        for name in COMPARED
        if str(found.get(name)).rstrip("/") != str(wanted[name]).rstrip("/")
    ]


def make(server: Lakekeeper, name: str) -> str:
    """What was done, in a sentence. Raises SystemExit when the warehouse is another one."""
    if not server.wait()["bootstrapped"]:
        server.ask("/bootstrap", {"accept-terms-of-use": True})
    for warehouse in server.ask("/warehouse")["warehouses"]:
        if warehouse["name"] != name:
            continue
        told = differences(profile(), warehouse["storage-profile"])
        if told:
            raise SystemExit(f"warehouse {name}: {'; '.join(told)}; change one of the two by hand")
        path = f"/warehouse/{warehouse['id']}/storage-credential"
        server.ask(path, {"new-storage-credential": credential()})
        return f"there    warehouse {name}"
    body = {
        "warehouse-name": name,
        "storage-profile": profile(),
        "storage-credential": credential(),
        # The lake is brought back from backups, never from a recycle bin that holds files back.
        "delete-profile": {"type": "hard"},
    }
    server.ask("/warehouse", body)
    return f"made     warehouse {name}"


def main() -> None:
    """Reads the environment; exit code 1 with one sentence when it fails."""
    try:
        print(make(Lakekeeper(os.environ["LAKEKEEPER_URL"]), os.environ["WAREHOUSE"]))  # noqa: T201
    except urllib.error.HTTPError as error:
        sys.exit(f"Lakekeeper answers {error.code} to {error.url}: {error.read().decode()[:500]}")
    except OSError as error:
        sys.exit(f"Lakekeeper does not answer: {error}")


if __name__ == "__main__":
    main()
