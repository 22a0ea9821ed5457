"""The wanted part of the server's tarball."""

from __future__ import annotations

import shutil
import tarfile
from collections import defaultdict
from pathlib import Path, PurePosixPath

from devstack.errors import DevstackError
from devstack.trino.progress import Progress
from devstack.trino.release import Release

_BLOCK_BYTES = 1 << 20


def unpack(release: Release, tarball: Path, target: Path, progress: Progress) -> None:
    """Unpack what the release wants to the new folder `target`, whole or not at all.

    Raises `DevstackError` when the tarball is not what it should be.
    """
    partial = target.with_name(target.name + ".new")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with tarfile.open(tarball) as tar:
            wanted = _wanted(release, tar.getmembers())
            if not wanted:
                raise DevstackError(f"{tarball.name} holds no Trino server.")
            total = sum(member.size for member in wanted)
            with progress.bytes(f"Unpacking {tarball.name}", total) as report:
                done = 0
                for member, paths in wanted.items():
                    _write(tar, member, [partial / path for path in paths])
                    done += member.size
                    report(done)
    except (tarfile.TarError, EOFError) as error:
        raise DevstackError(f"{tarball.name} cannot be unpacked: {error}.") from error
    partial.replace(target)


def _wanted(
    release: Release, members: list[tarfile.TarInfo]
) -> dict[tarfile.TarInfo, list[PurePosixPath]]:
    """The stored files to read, in the tarball's order, each with the paths where it belongs.

    A jar that several plugins share is stored once, in the first one's folder, perhaps of a plugin
    that is not wanted; the others have a hard link.
    """
    paths: dict[str, list[PurePosixPath]] = defaultdict(list)
    for member in members:
        inside = PurePosixPath(member.name).relative_to(PurePosixPath(member.name).parts[0])
        if release.wants(str(inside)) and (member.isreg() or member.islnk()):
            if ".." in inside.parts:
                raise DevstackError(f"The tarball has a path that leads out of it: {member.name}.")
            paths[member.linkname if member.islnk() else member.name].append(inside)
    return {
        member: paths[member.name]
        for member in members
        if member.isreg() and paths.get(member.name)
    }


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, paths: list[Path]) -> None:
    first, *others = paths
    source = tar.extractfile(member)
    assert source is not None
    first.parent.mkdir(parents=True, exist_ok=True)
    with first.open("wb") as file:
        shutil.copyfileobj(source, file, _BLOCK_BYTES)
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.hardlink_to(first)
