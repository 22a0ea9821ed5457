"""The Trino release that the platform runs: where it is published, and what of it is needed."""

from __future__ import annotations

from dataclasses import dataclass

MAVEN_CENTRAL = "https://repo1.maven.org/maven2"


@dataclass(frozen=True)
class Release:
    """A server tarball in a Maven repository; `size` in bytes, `sha1` and `sha256` of the file."""

    version: str
    size: int
    sha1: str
    sha256: str
    plugins: frozenset[str]
    unpacked: int
    """Bytes on disk, of the wanted plugins and the server."""

    @property
    def file_name(self) -> str:
        """The name of the tarball."""
        return f"trino-server-{self.version}.tar.gz"

    @property
    def path(self) -> str:
        """The path of the tarball below a repository's URL."""
        return f"io/trino/trino-server/{self.version}/{self.file_name}"

    def wants(self, path: str) -> bool:
        """Whether a file, by its path inside the server's folder, is unpacked."""
        top, _, below = path.partition("/")
        return top == "lib" or (top == "plugin" and below.partition("/")[0] in self.plugins)


# The newest server on Maven Central (2026-11); later ones are published elsewhere.
TRINO = Release(
    version="476",
    size=821_045_832,
    sha1="c9b38be4017ebd2f7095455aaac772fb40247ebe",
    sha256="cfd5accde17e8ebd251eeeb78aed1f490e77bb3a164d95a0f454bf8a7c1cbd3f",
    # Each plugin costs the start about half a second: it loads two thousand classes of its own.
    plugins=frozenset(
        {
            *("iceberg", "memory", "tpch", "tpcds"),
            *("password-authenticators", "resource-group-managers"),
        }
    ),
    unpacked=500_000_000,
)
