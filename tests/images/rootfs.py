"""Root file systems from what is installed here: programs, and the libraries that they load."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

PYTHON = "/opt/python/bin/python3"
"""Where `add_python` puts the interpreter."""

_SKIPPED = ("__pycache__", "site-packages", "dist-packages", "test", "idlelib", "ensurepip", "*.a")
_ELF = b"\x7fELF"
_NEEDED = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


def empty(root: Path) -> None:
    """The folders that every program expects, and a name for user 0."""
    shutil.rmtree(root, ignore_errors=True)
    for name in ("tmp", "etc", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/none\n", encoding="utf-8")


def add_file(root: Path, source: Path, target: str) -> None:
    """A file under the path `target`."""
    place = root / target.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, place)


def add_tree(root: Path, source: Path, target: str) -> None:
    """A folder under the path `target`; links become what they point to."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, root / target.lstrip("/"), dirs_exist_ok=True, ignore=ignored)


def add_python(root: Path, packages: Iterable[str], without: frozenset[str]) -> None:
    """Copies this interpreter, its standard library, and `packages` with all that they require.

    What only packages in `without` ask for stays away.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    add_file(root, Path(sys.executable).resolve(), PYTHON)
    library = root / "opt" / "python" / "lib" / version
    ignored = shutil.ignore_patterns(*_SKIPPED)
    for kind in ("stdlib", "platstdlib"):
        source = sysconfig.get_path(kind, vars={"base": sys.base_prefix})
        shutil.copytree(source, library, dirs_exist_ok=True, ignore=ignored)
    for package in _closure(packages, without):
        for file in package.files or ():
            source_file = Path(str(package.locate_file(file)))
            if ".." not in file.parts and source_file.is_file() and file.suffix != ".pyc":
                add_file(root, source_file, str(Path("/opt/python/lib", version, file)))


def add_libraries(root: Path) -> None:
    """Every shared library that a program or library in `root` loads, under its own path."""
    wanted: set[str] = set()
    for file in _elf_files(root):
        # Libraries that a package brings along are found beside it, in `root`.
        told = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False)
        wanted.update(_NEEDED.findall(told.stdout))
    for library in sorted(wanted):
        if not Path(library).is_relative_to(root):
            add_file(root, Path(library).resolve(), library)


def _closure(names: Iterable[str], without: frozenset[str]) -> list[Distribution]:
    """The named distributions and all that they require here."""
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name in without:
            continue
        found[name] = distribution(name)
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())


def _elf_files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            file = Path(folder, name)
            with file.open("rb") as opened:
                if opened.read(len(_ELF)) == _ELF:
                    yield file
