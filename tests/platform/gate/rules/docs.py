"""The documents' commands: known programs, flags that exist, names and paths of this tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import click
import yaml

from tests.platform.gate.commands import Command, commands
from tests.platform.gate.kubectl_words import wrong_words
from tests.platform.gate.model import Finding
from tests.platform.gate.observability import REPOSITORY
from tests.platform.gate.platform import Platform
from tests.platform.gate.rules import rule

DOCUMENTS = ("README.md", "RUNBOOK.md", "ARCHITECTURE.md")
BINARIES = Path(__file__).resolve().parents[2] / "binaries.yaml"
_PATH = re.compile(r"^\.?/?platform/[\w./-]+$")
_VARIABLE = re.compile(r"[$<>{}*]")
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]+)?\)")


def documents(platform: Platform) -> list[str]:
    """Every document with commands."""
    found = [name for name in DOCUMENTS if (platform.root / name).is_file()]
    for folder in ("runbook", "host", "secrets", "minio"):
        found += [
            path.relative_to(platform.root).as_posix()
            for path in sorted((platform.root / folder).glob("*.md"))
        ]
    return found


@rule
def programs_are_known(platform: Platform) -> Iterator[Finding]:
    """Each program of a procedure is one that the reader has or is told to install."""
    known = {name for names in _binaries().values() for name in names}
    for file, command in _all(platform):
        name = command.binary
        if _VARIABLE.search(name) or name.startswith(("./", "/", "platform/", ".venv/", "~")):
            continue
        if name not in known:
            yield _finding(
                file,
                command,
                f"{name} is no known program",
                f"mend it, or add it to {BINARIES.name}",
            )


@rule
def paths_exist(platform: Platform) -> Iterator[Finding]:
    """A path under platform/ in a command is there."""
    for file, command in _all(platform):
        for word in command.words:
            if not _PATH.match(word):
                continue
            inside = word.removeprefix("./").removeprefix("/").removeprefix("platform/")
            made = inside.endswith((".sops.yaml", ".age")) or "/tmp/" in word
            if not (platform.root / inside).exists() and not made:
                yield _finding(file, command, f"{word} does not exist", "mend the path")


@rule
def links_lead_somewhere(platform: Platform) -> Iterator[Finding]:
    """A relative link of a document names a file, and a heading in it."""
    pages = [*documents(platform), *_decisions(platform)]
    for file in pages:
        path = platform.root / file
        for target, anchor in _LINK.findall(platform.text(file)):
            if "://" in target or target.startswith("mailto:"):
                continue
            there = (path.parent / target).resolve()
            if not there.exists():
                yield Finding(file, f"link {target}", "leads nowhere", "mend it")
            elif anchor and there.suffix == ".md" and anchor[1:] not in _anchors(there):
                yield Finding(file, f"link {target}{anchor}", "has no such heading", "mend it")


def _decisions(platform: Platform) -> list[str]:
    return [path.relative_to(platform.root).as_posix() for path in platform.root.glob("adr/*.md")]


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in headings}


@rule
def make_targets_exist(platform: Platform) -> Iterator[Finding]:
    """`make x` has a target x."""
    targets = set(
        re.findall(
            r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    for file, command in _all(platform):
        if command.binary == "make":
            for word in command.words[1:]:
                if re.fullmatch(r"[a-z][a-z-]*", word) and word not in targets:
                    yield _finding(file, command, f"make {word} does not exist", "mend it")


@rule
def ingest_commands_exist(platform: Platform) -> Iterator[Finding]:
    """`ingest` has the command and the options that a procedure uses."""
    from ingest.cli import cli

    for file, command in _all(platform):
        if command.binary != "ingest":
            continue
        wrong = _click(cli, list(command.words[1:]))
        if wrong:
            yield _finding(file, command, wrong, "see ingest --help")


def _click(group: click.Command, words: list[str]) -> str:
    here = group
    title = "ingest"
    for word in words:
        if word.startswith("-"):
            option = word.split("=")[0]
            names = {name for one in here.params for name in (*one.opts, *one.secondary_opts)}
            if option not in names | {"--help", "-h", "--version"}:
                return f"{title} has no option {option}"
        elif isinstance(here, click.Group):
            below = here.get_command(click.Context(here), word)
            if below is None:
                return f"{title} has no command {word}"
            here, title = below, f"{title} {word}"
    return ""


@rule
def kubectl_is_used_right(platform: Platform) -> Iterator[Finding]:
    """Commands and options of kubectl exist; namespaces and names are those of the manifests."""
    profile = max(platform.profiles, key=lambda one: len(one.resources), default=None)
    if profile is None:
        return
    for file, command in _all(platform):
        if command.binary != "kubectl":
            continue
        words = list(command.words)
        outer = words[: words.index("--")] if "--" in words else words
        for wrong in wrong_words(outer[1:], profile):
            yield _finding(file, command, wrong, "mend it")


@rule
def flux_names_exist(platform: Platform) -> Iterator[Finding]:
    """`flux reconcile kustomization x` names one that is in a cluster."""
    known = {one for profile in platform.profiles for one in profile.flux}
    for profile in platform.profiles:
        known |= {str(one.get("spec.sync.name", "")) for one in profile.of("FluxInstance")}
    for file, command in _all(platform):
        if command.binary != "flux":
            continue
        plain = [word for word in command.words[1:] if not word.startswith("-")]
        for kind, name in pairwise(plain):
            if kind not in {"kustomization", "ks"} or _VARIABLE.search(name):
                continue
            if name not in known:
                yield _finding(file, command, f"{kind} {name} does not exist", "mend it")


def _all(platform: Platform) -> Iterator[tuple[str, Command]]:
    for file in documents(platform):
        for command in commands(platform.text(file)):
            yield file, command
            inner = command.inner()
            if inner is not None:
                yield file, inner


@cache
def _binaries() -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = yaml.safe_load(BINARIES.read_text(encoding="utf-8"))
    return loaded


def _finding(file: str, command: Command, wrong: str, mend: str) -> Finding:
    line = " ".join(command.line.split())
    return Finding(file, f"`{line[:80]}`", wrong, mend)
