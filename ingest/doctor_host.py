"""Doctor's look at this machine: room for the spool, ports of the writers."""

from __future__ import annotations

import errno
import shutil
import socket
import urllib.error
import urllib.request
from pathlib import Path

from ingest.doctor_finding import Finding, Findings
from ingest.settings import Settings

SPOOLS = 3
"""A spool being committed, one being filled, and Parquet files on their way."""


def examine(settings: Settings) -> list[Finding]:
    """Findings on this machine."""
    findings = Findings("this machine")
    _examine_spool(settings, findings)
    for path, port in (("hot", settings.http.hot_port), ("lake", settings.http.lake_port)):
        _examine_port(settings.http.host, port, path, findings)
    return findings.all


def _examine_spool(settings: Settings, findings: Findings) -> None:
    folder = settings.lake.spool_dir
    check = f"spool {folder}"
    existing = _existing(folder.absolute())
    try:
        probe = existing / f".ingest-doctor-{socket.gethostname()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        findings.problem(
            check,
            f"{existing} cannot be written ({error.strerror})",
            "choose another lake.spool_dir (IOT_LAKE__SPOOL_DIR)",
        )
        return
    free, needed = shutil.disk_usage(existing).free, SPOOLS * settings.lake.commit_max_bytes
    findings.require(
        check,
        f"{free >> 20} MiB free, {needed >> 20} MiB needed",
        "make room, or lower lake.commit_max_bytes (IOT_LAKE__COMMIT_MAX_BYTES)",
        fine=free >= needed,
    )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    while not folder.is_dir():
        if folder.exists() or folder == folder.parent:
            break
        folder = folder.parent
    return folder


def _examine_port(host: str, port: int, path: str, findings: Findings) -> None:
    check = f"port {port} for run {path}"
    if port == 0:
        findings.ok(f"port for run {path}", "any free one")
        return
    try:
        with socket.create_server((host, port)):
            findings.ok(check, "free")
            return
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_ours(host, port):
            findings.ok(check, f"a running `ingest run {path}` listens there")
            return
        findings.problem(
            check,
            f"{host}:{port} cannot be listened on ({error.strerror})",
            f"choose another http.{path}_port (IOT_HTTP__{path.upper()}_PORT)",
        )


def _is_ours(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=2) as answer:
            return b"ingest_active" in answer.read()
    except (urllib.error.URLError, OSError, ValueError):
        return False
