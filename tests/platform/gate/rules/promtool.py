"""Rules and their tests by the real promtool, when it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.platform.gate.model import Finding, Tree
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule
from tests.platform.gate.sources import parse

TESTS = "observability/rules/tests"
# The whole gate takes less than a minute.
LONGEST_S = 30


@rule
def promtool_agrees(platform: Platform) -> Iterator[Finding]:
    """Promtool parses every rule, and every test of them passes."""
    tool = shutil.which("promtool")
    profile = max(platform.profiles, key=lambda one: len(one.resources), default=None)
    if tool is None or profile is None:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = unwrapped(profile, folder)
        for file, path in files.items():
            said = _run(tool, "check", "rules", path)
            if said:
                yield Finding(file, "groups", f"promtool: {said}", "mend the rule")
        tests = sorted((platform.root / TESTS).glob("*.y*ml"))
        copies = [_with_rules(path, folder, files, profile) for path in tests]
        with ThreadPoolExecutor(max_workers=2) as pool:
            answers = list(pool.map(lambda copy: _run(tool, "test", "rules", copy), copies))
        for path, said in zip(tests, answers, strict=True):
            if said:
                yield Finding(f"{TESTS}/{path.name}", "tests", said, "mend the rule or its test")


def unwrapped(profile: Profile, folder: Path) -> dict[str, Path]:
    """Each PrometheusRule's groups as a file for promtool, by the file it comes from."""
    files: dict[str, Path] = {}
    for found in profile.of("PrometheusRule"):
        path = folder / f"{found.name}.rules.yaml"
        # JSON is YAML, and has one way to quote.
        path.write_text(json.dumps({"groups": found.get("spec.groups")}), encoding="utf-8")
        files[f"{found.file}#{found.name}"] = path
    return files


def _with_rules(path: Path, folder: Path, files: dict[str, Path], profile: Profile) -> Path:
    """A copy of a test over the unwrapped rules, with the profile's settings."""
    text = path.read_text(encoding="utf-8")
    for key, value in profile.settings.items():
        text = text.replace("${" + key + "}", value)
    tree: Tree = parse(text)[0]
    wanted = {Path(name).name for name in tree.get("rule_files") or []}
    tree["rule_files"] = [
        str(rules)
        for file, rules in files.items()
        if wanted & {rules.name, Path(file.partition("#")[0]).name}
    ]
    copy = folder / path.name
    copy.write_text(json.dumps(tree), encoding="utf-8")
    return copy


def _run(tool: str, *arguments: str | Path) -> str:
    """Nothing when promtool is content, else the end of what it says."""
    try:
        done = subprocess.run(
            [tool, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"promtool needs more than {LONGEST_S} s; look less often over less time"
    if done.returncode == 0:
        return ""
    return " ".join((done.stdout + done.stderr).split())[-500:]
