"""`make env`: passwords for every variable, made once, for the owner's eyes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def made(path: Path) -> str:
    """What the script says."""
    command = [sys.executable, str(ROOT / "scripts" / "env.py"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def values(path: Path) -> dict[str, str]:
    """The assignments of the file."""
    found = re.findall(r"^(\w+)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def test_a_new_file_has_a_password_for_each_variable(tmp_path: Path) -> None:
    """All differ, stand in a URL as they are, and are no numbers to NATS."""
    path = tmp_path / ".env"
    made(path)
    found = values(path)
    assert len(set(found.values())) == len(found) > 20
    assert all(re.fullmatch(r"p[0-9a-f]{40}", text) for text in found.values())
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_there_stays(tmp_path: Path) -> None:
    """The lines of others and passwords that were chosen are kept; the rest is added."""
    path = tmp_path / ".env"
    own = "DAGSTER_HOME=${PWD}/dagster_home\nGRAFANA_ADMIN_PASSWORD=mine"
    path.write_text(own, encoding="utf-8")
    made(path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith(own + "\n")
    assert values(path)["GRAFANA_ADMIN_PASSWORD"] == "mine"
    assert text.count("GRAFANA_ADMIN_PASSWORD") == 1


def test_a_second_run_changes_nothing_but_who_may_read(tmp_path: Path) -> None:
    """Volumes remember the passwords, so they are never made anew."""
    path = tmp_path / ".env"
    made(path)
    before = path.read_text(encoding="utf-8")
    path.chmod(0o644)
    assert "0 passwords made" in made(path)
    assert path.read_text(encoding="utf-8") == before
    assert path.stat().st_mode & 0o777 == 0o600
