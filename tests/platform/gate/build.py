"""Kustomize builds by the real kubectl, each folder once for the same content."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml


class BuildError(Exception):
    """Kustomize refused a folder; the text is its own."""


_built: dict[str, str] = {}


def kubectl() -> str:
    """The kubectl beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        raise BuildError("kubectl is not installed; `make setup` brings it")
    return found


def build(folder: Path) -> str:
    """What `kubectl kustomize` makes of a folder."""
    key = _digest(folder.resolve(), set())
    if key not in _built:
        _built[key] = _run(folder)
    return _built[key]


def _run(folder: Path) -> str:
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "KUBECONFIG": "/dev/null"},
    )
    if done.returncode != 0:
        raise BuildError(" ".join(done.stderr.split())[-400:])
    return done.stdout


def _digest(folder: Path, seen: set[Path]) -> str:
    """A hash over a folder and the folders that its kustomization files name."""
    state = hashlib.sha256()
    if folder in seen or not folder.is_dir():
        return ""
    seen.add(folder)
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        state.update(str(path.relative_to(folder)).encode() + b"\0" + content + b"\0")
        if path.name == "kustomization.yaml":
            for other in _named(content):
                state.update(_digest((path.parent / other).resolve(), seen).encode())
    return state.hexdigest()


def _named(content: bytes) -> list[str]:
    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError:
        return []
    if not isinstance(found, dict):
        return []
    names = [*(found.get("resources") or []), *(found.get("components") or [])]
    return [name for name in names if isinstance(name, str) and name.startswith("..")]
