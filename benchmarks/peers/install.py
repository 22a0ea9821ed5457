"""Installs the peers of versions.toml, each into a folder of its own; run it again at will.

A peer that cannot be installed is named with the reason; the benchmark goes on without it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.installed import (
    REASON,
    STAMP,
    PeerMissingError,
    Wanted,
    cache,
    folder_of,
    stamp,
    wanted,
)

BENTO = Path(__file__).parent / "bento" / "main.go"
TIMEOUT_S = 1_200


def main() -> None:
    """Installs what is missing or out of date."""
    for peer in wanted().values():
        try:
            folder_of(peer)
            print(f"{peer.name}: {peer.text}, up to date", flush=True)
        except PeerMissingError:
            print(f"{peer.name}: {peer.text} ...", flush=True)
            _install(peer)


def _install(peer: Wanted) -> None:
    folder = cache() / peer.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        if peer.pip:
            _packages(peer, folder)
        else:
            _program(peer, folder)
    except PeerMissingError as error:
        (folder / REASON).write_text(f"{error}\n", encoding="utf-8")
        print(f"{peer.name}: not installed: {error}", file=sys.stderr, flush=True)
    else:
        (folder / STAMP).write_text(stamp(peer), encoding="utf-8")


def _packages(peer: Wanted, folder: Path) -> None:
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    _run([*pip, "--disable-pip-version-check", "--only-binary", ":all:", *peer.pip])


def _program(peer: Wanted, folder: Path) -> None:
    if shutil.which("go") is None:
        raise PeerMissingError("there is no Go on this machine")
    # Sources and objects of hundreds of modules are of no use once the program is built.
    with tempfile.TemporaryDirectory(dir=cache(), ignore_cleanup_errors=True) as work:
        env = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOBIN": str(folder),
            "GOCACHE": f"{work}/objects",
            "GOMODCACHE": f"{work}/modules",
            "GOFLAGS": "-modcacherw -trimpath -ldflags=-s",
        }
        if peer.go:
            _run(["go", "install", peer.go], env=env)
        else:
            _module(peer, Path(work) / "main", folder, env)


def _module(peer: Wanted, source: Path, folder: Path, env: dict[str, str]) -> None:
    """Builds our own main program over one module."""
    source.mkdir()
    shutil.copy(BENTO, source)
    module, _, version = peer.module.partition("@")
    _run(["go", "mod", "init", peer.name], source, env)
    _run(["go", "mod", "edit", f"-require={module}@{version}"], source, env)
    for one in peer.replace:
        old, _, new = one.partition(" => ")
        _run(["go", "mod", "edit", f"-replace={old}={new.replace(' ', '@')}"], source, env)
    _run(["go", "mod", "tidy"], source, env)
    _run(["go", "build", "-o", str(folder / peer.name), "."], source, env)


def _run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Runs the command; raises PeerMissingError with the last thing that it said."""
    try:
        subprocess.run(
            command, cwd=cwd, env=env, check=True, text=True, capture_output=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise PeerMissingError(f"`{command[0]}` took longer than {TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines() or ["it said nothing"]
        raise PeerMissingError(f"`{' '.join(command[:3])} ...` failed: {said[-1]}") from None


if __name__ == "__main__":
    main()
