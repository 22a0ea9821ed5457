"""Check a platform folder: ``python -m tests.platform.gate [folder]``; exit 1 on findings."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.platform.gate.platform import load
from tests.platform.gate.rules import all_rules, check

HERE = Path(__file__).resolve().parents[1]
PLATFORM = HERE.parents[1] / "platform"


def main() -> int:
    """Print findings one a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.platform.gate", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=PLATFORM)
    parser.add_argument("--overview", type=Path, default=HERE / "overview.yaml")
    given = parser.parse_args()
    begun = time.monotonic()
    platform = load(given.folder.resolve(), overview=given.overview, charts=HERE / "charts.yaml")
    findings = check(platform)
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    resources = sum(len(profile.resources) for profile in platform.profiles)
    sys.stderr.write(
        f"{len(findings)} findings; {len(platform.sources.documents)} documents, "
        f"{resources} resources in {len(platform.profiles)} profiles, {len(all_rules())} rules, "
        f"{time.monotonic() - begun:.1f} s\n"
    )
    return 1 if findings else 0


sys.exit(main())
