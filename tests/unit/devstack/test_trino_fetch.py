"""Trino's tarball: resumed, checked, unpacked in part, and what each failure says."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from devstack.errors import DevstackError
from devstack.trino import install
from devstack.trino.progress import Progress
from devstack.trino.release import TRINO, Release
from tests.support.waiting import until

JARS = {f"plugin/hive/jar-{n}.jar": os.urandom(100_000) for n in range(3)}


def tarball() -> bytes:
    """A server in small: a plugin that is wanted links to jars of one that is not."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as tar:
        for name, content in {**JARS, "lib/main.jar": b"main", "README.txt": b"read"}.items():
            stored = tarfile.TarInfo(f"trino-server-1/{name}")
            stored.size = len(content)
            tar.addfile(stored, io.BytesIO(content))
        for name in ("iceberg", "memory", "hudi"):
            link = tarfile.TarInfo(f"trino-server-1/plugin/{name}/shared.jar")
            link.type, link.linkname = tarfile.LNKTYPE, "trino-server-1/plugin/hive/jar-1.jar"
            tar.addfile(link)
    return output.getvalue()


CONTENT = tarball()
SMALL = Release(
    version="1",
    size=len(CONTENT),
    sha1=hashlib.sha1(CONTENT).hexdigest(),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    plugins=frozenset({"iceberg", "memory"}),
    unpacked=1_000_000,
)


@dataclass
class Repository:
    """A Maven repository on this machine, and how it behaves."""

    url: str = ""
    content: bytes = CONTENT
    status: int = 0
    """Answered to all requests unless 0."""
    cut_after: int = 0
    """Bytes after which each answer breaks off unless 0."""
    ranges: bool = True
    gate: threading.Event = field(default_factory=threading.Event)
    """Answers wait for it."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""


@pytest.fixture
def repository() -> Iterator[Repository]:
    """A Maven repository that serves the small tarball."""
    served = Repository()
    served.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            served.asked.append((self.path, wanted))
            served.gate.wait(20)
            if served.status:
                self.send_error(served.status)
                return
            start = int(wanted[6:-1]) if wanted and served.ranges else 0
            body = served.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.cut_after or None])

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/maven2"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The release's folder in an empty cache."""
    monkeypatch.setenv("DEVSTACK_CACHE_DIR", str(tmp_path))
    return tmp_path / "trino-1"


def fetch(repository: Repository, said: io.StringIO | None = None) -> install.Installation:
    """What `devstack trino fetch` does first."""
    return install.ensure(Progress(said or io.StringIO()), maven_url=repository.url, release=SMALL)


def files(folder: Path) -> set[str]:
    """Paths of all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_wanted_part_is_unpacked_and_the_tarball_dropped(
    repository: Repository, cache: Path
) -> None:
    """Libraries and wanted plugins, with the jars that they share with plugins left out."""
    installation = fetch(repository)
    assert files(cache) == {
        "lock",
        "server/lib/main.jar",
        "server/plugin/iceberg/shared.jar",
        "server/plugin/memory/shared.jar",
    }
    shared = [installation.plugins / name / "shared.jar" for name in ("iceberg", "memory")]
    assert shared[0].read_bytes() == JARS["plugin/hive/jar-1.jar"]
    assert shared[0].samefile(shared[1])
    assert repository.asked[0][0] == "/maven2/io/trino/trino-server/1/trino-server-1.tar.gz"


def test_what_is_there_is_not_fetched_again(repository: Repository, cache: Path) -> None:
    """The second call asks nobody."""
    assert install.find(SMALL) is None
    first = fetch(repository)
    assert fetch(repository) == first == install.find(SMALL)
    assert len(repository.asked) == 1


def test_a_line_that_breaks_off_is_taken_up_where_it_ended(
    repository: Repository, cache: Path
) -> None:
    """Each try asks for the bytes that are missing."""
    repository.cut_after = 100_000
    fetch(repository)
    ranges = [wanted for _, wanted in repository.asked]
    assert ranges == ["", "bytes=100000-", "bytes=200000-", "bytes=300000-"][: len(ranges)]
    assert len(ranges) > 2


def test_an_interrupted_process_is_taken_up_where_it_ended(
    repository: Repository, cache: Path
) -> None:
    """The bytes of an earlier process count."""
    cache.mkdir()
    (cache / "trino-server-1.tar.gz.part").write_bytes(CONTENT[:1234])
    fetch(repository)
    assert [wanted for _, wanted in repository.asked] == ["bytes=1234-"]


def test_a_server_without_ranges_sends_all_again(repository: Repository, cache: Path) -> None:
    """Nothing is appended to what was there."""
    repository.ranges = False
    cache.mkdir()
    (cache / "trino-server-1.tar.gz.part").write_bytes(b"x" * 1234)
    assert fetch(repository).libraries.is_dir()


def test_an_interrupted_unpacking_is_begun_again(repository: Repository, cache: Path) -> None:
    """A half-made folder is never taken for the server; a checked tarball is not fetched again."""
    (cache / "server.new/lib").mkdir(parents=True)
    (cache / "server.new/lib/half.jar").touch()
    (cache / "trino-server-1.tar.gz").write_bytes(CONTENT)
    fetch(repository)
    assert repository.asked == []
    assert "server/lib/half.jar" not in files(cache)


@pytest.mark.parametrize("place", ["repository", "cache folder"])
def test_wrong_bytes_are_removed(repository: Repository, cache: Path, place: str) -> None:
    """One sentence with both checksums; the next try starts from nothing."""
    wrong = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    repository.content = wrong
    if place == "cache folder":
        cache.mkdir()
        (cache / "trino-server-1.tar.gz").write_bytes(wrong)
    with pytest.raises(DevstackError, match=f"checksum .* and not {SMALL.sha1}; it was removed"):
        fetch(repository)
    assert files(cache) == {"lock"}


@pytest.mark.parametrize("status", [403, 404])
def test_a_repository_that_has_it_not_is_named(
    repository: Repository, cache: Path, status: int
) -> None:
    """The address, the answer, and how to name another repository; asked once."""
    repository.status = status
    with pytest.raises(DevstackError, match=f"{SMALL.path} answers {status} .*DEVSTACK_MAVEN_URL"):
        fetch(repository)
    assert len(repository.asked) == 1


def test_a_repository_that_is_ill_is_asked_again_and_then_named(
    repository: Repository, cache: Path
) -> None:
    """Three tries without a byte end it."""
    repository.status = 503
    with pytest.raises(DevstackError, match=r"answers 503\).*fetch` again"):
        fetch(repository)
    assert len(repository.asked) == 3


def test_without_network_it_says_what_is_kept(repository: Repository, cache: Path) -> None:
    """The bytes so far are named, and stay."""
    cache.mkdir()
    part = cache / "trino-server-1.tar.gz.part"
    part.write_bytes(CONTENT[:1234])
    repository.url = "http://127.0.0.1:1/maven2"
    with pytest.raises(DevstackError, match=r"cannot be read \(.*refused.*are kept"):
        fetch(repository)
    assert part.read_bytes() == CONTENT[:1234]


def test_of_two_at_once_one_fetches_and_the_other_waits(
    repository: Repository, cache: Path
) -> None:
    """One download; both have the installation."""
    repository.gate.clear()
    said = [io.StringIO(), io.StringIO()]
    found: list[install.Installation] = []
    threads = [
        threading.Thread(target=lambda text=text: found.append(fetch(repository, text)))
        for text in said
    ]
    for thread in threads:
        thread.start()
    until(lambda: any("waiting for it" in text.getvalue() for text in said), "the second waits")
    until(lambda: repository.asked, "the first asks")
    repository.gate.set()
    for thread in threads:
        thread.join(20)
    assert len(repository.asked) == 1
    assert found == [install.Installation(cache)] * 2


def test_a_folder_that_cannot_be_written_is_named(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the way to choose another."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEVSTACK_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DevstackError, match=r"cannot be kept in .*/file/.*DEVSTACK_CACHE_DIR"):
        fetch(repository)


def test_a_disk_without_room_is_told_before_the_download(
    repository: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Needed and free, in GB."""
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DevstackError, match=r"needs 0\.0 GB .* 0\.0 GB are free"):
        fetch(repository)
    assert repository.asked == []


def test_a_tarball_that_is_none_is_one_sentence(repository: Repository, cache: Path) -> None:
    """The right checksum does not make it a tarball."""
    cache.mkdir()
    junk = b"junk"
    (cache / "trino-server-1.tar.gz").write_bytes(junk)
    release = replace(
        SMALL, sha1=hashlib.sha1(junk).hexdigest(), sha256=hashlib.sha256(junk).hexdigest()
    )
    with pytest.raises(DevstackError, match="cannot be unpacked"):
        install.ensure(Progress(io.StringIO()), maven_url=repository.url, release=release)


def test_the_release_is_pinned() -> None:
    """Version, size and SHA-1 as Maven Central publishes them."""
    assert (TRINO.version, TRINO.size) == ("476", 821_045_832)
    assert TRINO.sha1 == "c9b38be4017ebd2f7095455aaac772fb40247ebe"


def test_elsewhere_than_on_a_terminal_progress_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line each ten seconds with megabytes and rate."""
    from devstack.trino import progress

    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    said = io.StringIO()
    with Progress(said).bytes("Downloading", 800_000_000) as report:
        for second in range(22):
            now[0] = float(second)
            report(second * 10_000_000)
    assert said.getvalue().splitlines() == [
        "Downloading: 100 of 800 MB, 10.0 MB/s",
        "Downloading: 200 of 800 MB, 10.0 MB/s",
    ]


def test_on_a_terminal_progress_is_a_bar() -> None:
    """One line that is drawn again."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said = Terminal()
    with Progress(said).bytes("Downloading", 1000) as report:
        report(1000)
    assert "Downloading" in said.getvalue()
    assert "1.0/1.0 kB" in said.getvalue()
