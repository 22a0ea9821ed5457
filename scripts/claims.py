"""Writes the README's table of claims from docs/claims.toml, the tests and the benchmarks' results.

``--check`` changes nothing and exits 1 when the table is not up to date.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- claims: written by `make docs-generate` -->", "<!-- /claims -->"
NOT_MEASURED = "not measured yet"


class ClaimError(ValueError):
    """A claim names a test, benchmark or case that does not exist."""


@dataclass(frozen=True)
class Figure:
    """A measured quantity and the commit that it was measured at."""

    text: str
    commit: str


def table(root: Path = ROOT) -> str:
    """The table of all claims as Markdown; raises ClaimError."""
    found = tomllib.loads((root / "docs" / "claims.toml").read_text(encoding="utf-8"))
    lines = ["| claim | test | figure | commit |", "|---|---|---|---|"]
    for claim in found["claim"]:
        tests = "<br>".join(test_link(root, name) for name in claim["tests"])
        figure = measured(root, claim["figure"]) if "figure" in claim else Figure("", "")
        lines.append(f"| {claim['text']} | {tests} | {figure.text} | {figure.commit} |")
    return "\n".join(lines)


def test_link(root: Path, name: str) -> str:
    """A link to a test function ``file::name``; raises ClaimError when there is none."""
    file, _, function = name.partition("::")
    path = root / file
    if not path.is_file():
        raise ClaimError(f"docs/claims.toml: {file} does not exist")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
            return f"[{function.removeprefix('test_')}]({file})"
    raise ClaimError(f"docs/claims.toml: {file} has no test {function}")


def measured(root: Path, figure: dict[str, str]) -> Figure:
    """The median of the newest result of a benchmark's case; raises ClaimError."""
    folder = root / "benchmarks" / figure["benchmark"]
    if not (folder / "run.py").is_file():
        raise ClaimError(f"docs/claims.toml: there is no benchmark {figure['benchmark']}")
    results: list[dict[str, Any]] = [
        json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("results/*.json")
    ]
    if not results:
        return Figure(NOT_MEASURED, "")
    newest = max(results, key=lambda one: str(one["date"]))
    if figure["case"] not in newest["cases"]:
        raise ClaimError(f"docs/claims.toml: {figure['benchmark']} has no case {figure['case']!r}")
    rounds = [one[figure["field"]] for one in newest["cases"][figure["case"]]]
    text = f"{statistics.median(rounds):,.0f} {figure['unit']}, {newest['machine']}"
    return Figure(f"[{text}](benchmarks/{figure['benchmark']})", f"`{newest['commit']}`")


def with_table(readme: str, text: str) -> str:
    """The README with the table between its marks; raises ClaimError when it has no marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ClaimError(f"README.md lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main() -> int:
    """Writes or checks the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if outdated")
    check = parser.parse_args().check
    path = ROOT / "README.md"
    readme = path.read_text(encoding="utf-8")
    try:
        wanted = with_table(readme, table())
    except ClaimError as error:
        print(f"claims: {error}", file=sys.stderr)
        return 1
    if check and wanted != readme:
        print("claims: README.md is not up to date; run `make docs-generate`", file=sys.stderr)
        return 1
    if not check:
        path.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
