"""What a new user types: every target is described, and what the README names is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_in_the_help(target: str) -> None:
    """`make` alone lists every target with what it does."""
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert re.search(rf"^  make {target} +\S", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "AGENTS.md"])
def test_documents_name_only_targets_that_exist(document: str) -> None:
    """Every `make TARGET` in a document can be typed."""
    text = (ROOT / document).read_text(encoding="utf-8")

    named = set(re.findall(r"(?:^ +|`)make ([a-z-]+)", text, re.MULTILINE))
    assert named <= set(TARGETS)
    assert named


def test_a_benchmark_that_does_not_exist_is_one_sentence() -> None:
    """`make bench` without a known NAME lists the names and fails."""
    done = subprocess.run(
        ["make", "-o", "setup", "bench", "NAME=no_such"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "hot_path" in done.stderr
    assert "backlog" not in done.stderr
