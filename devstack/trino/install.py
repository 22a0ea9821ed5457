"""The Trino server in this user's cache: found, or fetched once however often it is interrupted."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError
from devstack.trino.download import check, download
from devstack.trino.progress import Progress
from devstack.trino.release import MAVEN_CENTRAL, TRINO, Release
from devstack.trino.unpack import unpack

GET_IT = "`devstack trino fetch` gets it"
_GB = 1_000_000_000


@dataclass(frozen=True)
class Installation:
    """A Trino server on disk; `cache` is the folder of its release."""

    cache: Path

    @property
    def libraries(self) -> Path:
        """The server's own jars."""
        return self.cache / "server/lib"

    @property
    def plugins(self) -> Path:
        """One folder a plugin."""
        return self.cache / "server/plugin"


def cache_folder(release: Release = TRINO) -> Path:
    """Where the release is kept: below DEVSTACK_CACHE_DIR, else the user's cache folder."""
    chosen = os.environ.get("DEVSTACK_CACHE_DIR")
    if chosen:
        return Path(chosen).resolve() / f"trino-{release.version}"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "iot-lakehouse" / f"trino-{release.version}"


def repository_url() -> str:
    """The Maven repository: DEVSTACK_MAVEN_URL, else Maven Central."""
    return os.environ.get("DEVSTACK_MAVEN_URL") or MAVEN_CENTRAL


def find(release: Release = TRINO) -> Installation | None:
    """The installation, when it is whole."""
    found = Installation(cache_folder(release))
    return found if found.libraries.is_dir() else None


def ensure(
    progress: Progress, *, maven_url: str | None = None, release: Release = TRINO
) -> Installation:
    """The installation, fetched when it is not there.

    A tarball of the right name and checksum in the cache folder is taken instead of a download.
    Of several processes one fetches and the others wait. Raises `DevstackError` with what to do.
    """
    found = find(release)
    if found is not None:
        return found
    cache = cache_folder(release)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache, progress):
            return find(release) or _fetch(release, cache, maven_url or repository_url(), progress)
    except OSError as error:
        raise DevstackError(
            f"Trino cannot be kept in {cache}: {error.strerror or error}; make room there or "
            "choose another folder with DEVSTACK_CACHE_DIR."
        ) from error


@contextmanager
def locked(cache: Path, progress: Progress) -> Iterator[None]:
    """Hold the cache folder alone; the kernel gives it back when this process ends."""
    with (cache / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"Another process prepares {cache}; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(release: Release, cache: Path, maven_url: str, progress: Progress) -> Installation:
    tarball = cache / release.file_name
    if tarball.exists():
        check(release, tarball)
    else:
        _make_sure_of_room(release, cache)
        progress.say(f"Trino {release.version} is fetched once from {maven_url} to {cache}.")
        download(release, maven_url, tarball, progress)
    unpack(release, tarball, cache / "server", progress)
    tarball.unlink()
    return Installation(cache)


def _make_sure_of_room(release: Release, cache: Path) -> None:
    part = cache / f"{release.file_name}.part"
    have = part.stat().st_size if part.exists() else 0
    needed, free = release.size - have + release.unpacked, shutil.disk_usage(cache).free
    if free < needed:
        raise DevstackError(
            f"Trino needs {needed / _GB:.1f} GB in {cache} and {free / _GB:.1f} GB are free; make "
            "room or choose another folder with DEVSTACK_CACHE_DIR."
        )
