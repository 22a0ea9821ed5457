"""How Java is started for Trino, and the archive of loaded classes that quickens its start."""

from __future__ import annotations

from pathlib import Path

from devstack.trino.config import HEAP_MB
from devstack.trino.install import Installation
from devstack.trino.java import Java

OPTIONS = (
    "-server",
    f"-Xmx{HEAP_MB}M",
    "-XX:+UseG1GC",
    "-XX:+ExplicitGCInvokesConcurrent",
    # What an idle server no longer needs goes back to the machine, about 100 MB.
    "-XX:G1PeriodicGCInterval=30000",
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=30",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djdk.attach.allowAttachSelf=true",
    "-Djdk.nio.maxCachedBufferSize=2000000",
    "-Dfile.encoding=UTF-8",
    "-Duser.timezone=UTC",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    # The first compiler only: a quicker start and less memory, for slower long statements.
    "-XX:TieredStopAtLevel=1",
    "-XX:ReservedCodeCacheSize=128M",
)


def command(java: Java, installation: Installation, place: Path, *extra: str) -> list[str]:
    """The command line of a Trino whose configuration is in `place`/etc."""
    archive = archive_file(java, installation)
    return [
        str(java.program),
        *OPTIONS,
        *([f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []),
        *extra,
        *("-cp", f"{installation.libraries}/*"),
        "-Dnode.environment=devstack",
        "-Dnode.id=devstack",
        f"-Dnode.data-dir={place / 'data'}",
        f"-Dplugin.dir={installation.plugins}",
        f"-Dcatalog.config-dir={place / 'etc/catalog'}",
        f"-Dconfig={place / 'etc/config.properties'}",
        f"-Dlog.levels-file={place / 'etc/log.properties'}",
        "io.trino.server.TrinoServer",
    ]


def archive_file(java: Java, installation: Installation) -> Path:
    """Where the class archive of this Java and server is kept."""
    return installation.cache / f"classes-{java.fingerprint}.jsa"
