"""The Iceberg project's own REST catalog, put together from its parts on Maven Central.

Its image holds one file that is published nowhere else; the classes in it are.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MAIN_CLASS = "org.apache.iceberg.rest.RESTCatalogServer"
PARTS = Path(__file__).with_name("iceberg_rest.txt")
"""One line a part: SHA-256 and group:artifact:version[:classifier]."""

_MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
_TIMEOUT_S = 60.0


def jars(folder: Path | None = None) -> Path:
    """The folder of all parts; those that are missing are fetched and checked.

    Raises `SystemExit` with the reason when one cannot be had.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = folder or cache / "iot-lakehouse" / "iceberg-rest"
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda part: _fetch(folder, *part), parts()))
    return folder


def parts() -> Iterator[tuple[str, str]]:
    """(SHA-256, coordinates) of each part."""
    for line in PARTS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            digest, coordinates = line.split()
            yield digest, coordinates


def _fetch(folder: Path, digest: str, coordinates: str) -> None:
    group, artifact, version, *classifier = coordinates.split(":")
    name = "-".join([artifact, version, *classifier]) + ".jar"
    target = folder / name
    if target.exists() and _digest(target.read_bytes()) == digest:
        return
    base = os.environ.get("DEVSTACK_MAVEN_URL", _MAVEN_CENTRAL).rstrip("/")
    url = f"{base}/{group.replace('.', '/')}/{artifact}/{version}/{name}"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            body = answer.read()
    except OSError as error:
        raise SystemExit(
            f"iceberg_rest: {url} cannot be read ({error}); name another Maven repository with"
            " DEVSTACK_MAVEN_URL."
        ) from error
    if _digest(body) != digest:
        raise SystemExit(f"iceberg_rest: {url} has SHA-256 {_digest(body)}, expected {digest}.")
    part = target.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(body)
    part.replace(target)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(f"{jars()}\n")
