"""Programs that Python packages bring along."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from devstack.errors import DevstackError


def find(name: str, package: str) -> str:
    """The path of program `name`: beside this Python, else on PATH.

    Raises `DevstackError` naming the `package` to install.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DevstackError(f"{name} is not installed: pip install {package}")
    return found
