"""Compose itself takes the files, whatever profiles are chosen."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest

from tests.containers.compose.project import ROOT
from tests.unit.compose.project import NEEDS, SERVICES

CHOICES = [
    chosen
    for count in range(1, len(NEEDS) + 1)
    for chosen in itertools.combinations(NEEDS, count)
    if all(NEEDS[profile] <= set(chosen) for profile in chosen)
]


def config(compose: Path, passwords: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `docker compose ... config` says."""
    command = [str(compose), f"--env-file={passwords}", f"--project-directory={ROOT}"]
    command += [f"--file={ROOT / 'docker-compose.yml'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("chosen", CHOICES, ids="+".join)
def test_every_choice_of_profiles_is_clean(
    compose: Path, passwords: Path, chosen: tuple[str, ...]
) -> None:
    """No complaint, and just the services of these profiles."""
    profiles = [f"--profile={name}" for name in chosen]
    done = config(compose, passwords, *profiles, "config", "--format=json")
    assert (done.returncode, done.stderr) == (0, "")
    wanted = {name for name, one in SERVICES.items() if set(one["profiles"]) & set(chosen)}
    assert set(json.loads(done.stdout)["services"]) == wanted


def test_a_profile_without_those_it_needs_is_refused(compose: Path, passwords: Path) -> None:
    """`lake` alone would wait for services that are not there."""
    done = config(compose, passwords, "--profile=lake", "config", "--quiet")
    assert done.returncode != 0
    assert "undefined service" in done.stderr


def test_passwords_are_asked_for(compose: Path, tmp_path: Path) -> None:
    """Without `make env` nothing starts with an empty password."""
    empty = tmp_path / "env"
    empty.touch()
    done = config(compose, empty, "--profile=core", "config", "--quiet")
    assert done.returncode != 0
    assert "run make env" in done.stderr
