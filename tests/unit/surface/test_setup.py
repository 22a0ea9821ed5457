"""The private environment: made once, repaired when half-made, refused in one sentence.

A stand-in for the Python interpreter notes what it is asked to do, so that nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STAND_IN = """\
#!/bin/sh
case "$*" in
  "-c import sys"*) exit {too_old} ;;
  "-c import ensurepip"*) exit {no_venv} ;;
  "--version") echo "Python {version}" ;;
  "-m venv .venv")
    mkdir -p .venv/bin && cp "$0" .venv/bin/python
    echo venv >> calls ;;
  "-m pip install"*)
    echo pip >> calls
    exit "${{PIP_FAILS:-0}}" ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


class Checkout:
    """A checkout with the set-up script, and a PATH on which only stand-ins are Pythons."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.programs = folder / "programs"
        (self.folder / "scripts").mkdir(parents=True)
        self.programs.mkdir()
        shutil.copy(ROOT / "scripts" / "setup.sh", self.folder / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            (self.folder / name).write_text("one\n", encoding="utf-8")
        for name in ("sh", "cat", "cksum", "dirname", "mkdir", "cp", "rm", "pwd"):
            found = shutil.which(name)
            if found:
                (self.programs / name).symlink_to(found)

    def python(self, name: str, version: str, *, too_old: int = 0, no_venv: int = 0) -> None:
        """Puts a Python on the PATH."""
        path = self.programs / name
        text = STAND_IN.format(version=version, too_old=too_old, no_venv=no_venv)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def setup(self, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs the script."""
        kept = {k: v for k, v in os.environ.items() if k not in {"PYTHON", "PATH"}}
        return subprocess.run(
            ["/bin/sh", "scripts/setup.sh"],
            cwd=self.folder,
            env={**kept, "PATH": str(self.programs), **env},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """What the stand-ins did, and forgets it."""
        path = self.folder / "calls"
        if not path.exists():
            return []
        found = path.read_text(encoding="utf-8").split()
        path.unlink()
        return found


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh checkout."""
    return Checkout(tmp_path)


def test_a_second_run_has_nothing_to_do(checkout: Checkout) -> None:
    """The environment is made once; a change of the pinned versions installs again."""
    checkout.python("python3", "3.12.1")

    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["venv", "pip", "pip"]

    assert checkout.setup().returncode == 0
    assert checkout.calls() == []

    (checkout.folder / "constraints.txt").write_text("two\n", encoding="utf-8")
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["pip", "pip"]


def test_a_half_made_environment_is_made_again(checkout: Checkout) -> None:
    """After an installation that failed, the next run starts from nothing and succeeds."""
    checkout.python("python3", "3.12.1")

    failed = checkout.setup(PIP_FAILS="1")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("setup: the packages could not be installed")
    checkout.calls()

    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["venv", "pip", "pip"]


def test_a_moved_checkout_is_installed_again(checkout: Checkout) -> None:
    """The environment belongs to its folder: in another one it is not taken as it is."""
    checkout.python("python3", "3.12.1")
    checkout.setup()
    checkout.calls()
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))

    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["venv", "pip", "pip"]


def test_a_missing_venv_module_is_one_sentence(checkout: Checkout) -> None:
    """A Python without venv says what to install; nothing is made."""
    checkout.python("python3", "3.11.2", no_venv=1)

    done = checkout.setup()

    assert done.returncode == 1
    assert done.stderr == (
        "setup: Python 3.11.2 has no venv module; install it first"
        " (Debian, Ubuntu: apt install python3-venv).\n"
    )
    assert not (checkout.folder / ".venv").exists()


@pytest.mark.parametrize(("name", "told"), [("python3", "Python 3.9.2"), ("perl", "no python3")])
def test_a_python_too_old_or_none_is_one_sentence(checkout: Checkout, name: str, told: str) -> None:
    """Without a supported Python one sentence says what is needed and what was found."""
    checkout.python(name, "3.9.2", too_old=1)

    done = checkout.setup()

    assert done.returncode == 1
    assert done.stderr == (
        f"setup: Python 3.11 to 3.14 is needed, found {told};"
        " install one or set PYTHON=/path/to/python3.\n"
    )


def test_a_supported_python_beside_an_old_one_is_found(checkout: Checkout) -> None:
    """python3 may be too old as long as another one is there."""
    checkout.python("python3", "3.9.2", too_old=1)
    checkout.python("python3.13", "3.13.0")

    assert checkout.setup().returncode == 0


def test_a_python_that_was_asked_for_is_not_replaced(checkout: Checkout) -> None:
    """PYTHON= that is too old is refused by name."""
    checkout.python("python3", "3.12.1")
    checkout.python("old", "3.9.2", too_old=1)

    done = checkout.setup(PYTHON="old")

    assert done.returncode == 1
    assert done.stderr == "setup: PYTHON=old is not Python 3.11 to 3.14.\n"
