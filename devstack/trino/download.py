"""One large file over HTTP, resumed where an earlier try ended, and checked before it is used."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from devstack.errors import DevstackError
from devstack.trino.progress import Progress, Report
from devstack.trino.release import Release

_BLOCK_BYTES = 1 << 20
_SILENCE_S = 60.0
_TRIES_WITHOUT_A_BYTE = 3


def download(release: Release, base_url: str, target: Path, progress: Progress) -> None:
    """Bring the release's tarball to `target`, whole and checked, or leave only `target`.part.

    Raises `DevstackError`: not there, no network, not the expected bytes.
    """
    url = f"{base_url.rstrip('/')}/{release.path}"
    part = target.with_name(target.name + ".part")
    tries = _TRIES_WITHOUT_A_BYTE
    with progress.bytes(f"Downloading {release.file_name}", release.size) as report:
        while (have := _size(part)) < release.size:
            why = _append(url, part, have, report)
            tries = _TRIES_WITHOUT_A_BYTE if _size(part) > have else tries - 1
            if tries == 0:
                raise DevstackError(_advice(url, why, _size(part)))
    check(release, part)
    part.replace(target)


def check(release: Release, path: Path) -> None:
    """Compare a tarball with the release's checksums; one that differs is removed.

    Raises `DevstackError` when it differed.
    """
    sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            sha1.update(block)
            sha256.update(block)
    if (sha1.hexdigest(), sha256.hexdigest()) != (release.sha1, release.sha256):
        path.unlink()
        raise DevstackError(
            f"{path.name} has the checksum {sha1.hexdigest()} and not {release.sha1}; it was "
            "removed. Try again, or name another Maven repository with DEVSTACK_MAVEN_URL."
        )


def _append(url: str, part: Path, have: int, report: Report) -> str:
    """Read from byte `have` on to the end of `part` as far as the line lasts; why it ended."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SILENCE_S) as answer:  # noqa: S310
            # A server that ignores ranges sends all of it again.
            resumed = answer.status == http.client.PARTIAL_CONTENT
            _copy(answer, part, have if resumed else 0, report)
    except urllib.error.HTTPError as error:
        if error.code >= http.client.INTERNAL_SERVER_ERROR:
            return f"the server answers {error.code}"
        raise DevstackError(
            f"{url} answers {error.code} {error.reason}; name another Maven repository with "
            "DEVSTACK_MAVEN_URL."
        ) from error
    except urllib.error.URLError as error:
        return str(error.reason)
    return "the connection ended early"


def _copy(answer: http.client.HTTPResponse, part: Path, have: int, report: Report) -> None:
    with part.open("ab" if have else "wb") as file:
        report(have)
        while block := _read(answer):
            file.write(block)
            have += len(block)
            report(have)


def _read(answer: http.client.HTTPResponse) -> bytes:
    """The next bytes, none when the line ends; errors of the disk are not taken for it."""
    try:
        return answer.read1(_BLOCK_BYTES)
    except (http.client.HTTPException, OSError):
        return b""


def _advice(url: str, why: str, have: int) -> str:
    kept = f" {have // 1_000_000} MB are kept and the next try goes on from there." if have else ""
    return (
        f"{url} cannot be read ({why}).{kept} Try `devstack trino fetch` again, or name another "
        "Maven repository with DEVSTACK_MAVEN_URL."
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
