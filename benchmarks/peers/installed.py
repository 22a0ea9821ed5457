"""Where the peers are, and which versions of them are wanted."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

VERSIONS = Path(__file__).parent / "versions.toml"
COMMAND = "make bench-peers-install"
STAMP, REASON = "installed", "reason"


class PeerMissingError(Exception):
    """A peer is not on this machine; the text says why."""


@dataclass(frozen=True)
class Wanted:
    """A peer as versions.toml wants it: one `go install`, one Go module, or Python packages."""

    name: str
    go: str = ""
    module: str = ""
    replace: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What the peer is, for a table: packages and versions."""
        return ", ".join(self.pip) or (self.go or self.module).replace("@", " ")


def wanted(path: Path = VERSIONS) -> dict[str, Wanted]:
    """Every peer by name. Raises TypeError for a key that is none."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: Wanted(name, **{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
        for name, table in tables.items()
    }


def cache() -> Path:
    """The folder of all peers."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "iot-lakehouse" / "peers"


def stamp(peer: Wanted) -> str:
    """What is written beside an installed peer, so that a second run finds it up to date."""
    return repr(peer)


def folder_of(peer: Wanted) -> Path:
    """The folder of an installed peer. Raises PeerMissingError."""
    folder = cache() / peer.name
    found = folder / STAMP
    if found.is_file() and found.read_text(encoding="utf-8") == stamp(peer):
        return folder
    if (folder / REASON).is_file():
        raise PeerMissingError((folder / REASON).read_text(encoding="utf-8").strip())
    raise PeerMissingError(f"not installed; run `{COMMAND}`")
