"""Settings: the profiles agree on the keys, and our workloads use variables that exist."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from tests.platform.gate.model import Finding, leaves
from tests.platform.gate.observability import REPOSITORY
from tests.platform.gate.platform import Platform
from tests.platform.gate.rules import rule
from tests.platform.gate.substitution import references

TABLES = ("docs/settings.md", "docs/pipeline-settings.md")
VARIABLE = re.compile(r"\bIOT_[A-Z0-9]+(?:_[A-Z0-9]+)*(?:__[A-Z0-9_]+)?\b")


@rule
def profiles_have_the_same_keys(platform: Platform) -> Iterator[Finding]:
    """A key that one profile lacks becomes empty there."""
    every = {key for profile in platform.profiles for key in profile.settings}
    for profile in platform.profiles:
        for key in sorted(every - profile.settings.keys()):
            yield Finding(
                f"clusters/{profile.name}/cluster-settings.yaml",
                f"data.{key}",
                "is missing, another profile has it",
                "add it here or remove it there",
            )


@rule
def each_setting_is_used(platform: Platform) -> Iterator[Finding]:
    """A setting that does nothing is a promise that is broken."""
    used: set[str] = set()
    for path in sorted(platform.root.rglob("*")):
        if path.is_file() and path.name != "cluster-settings.yaml" and path.suffix != ".md":
            text = path.read_text(encoding="utf-8", errors="ignore")
            used |= references(text)
            used |= set(re.findall(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b|\b[A-Z]{5,}\b", text))
    for profile in platform.profiles:
        for key in profile.settings:
            if key not in used:
                yield Finding(
                    f"clusters/{profile.name}/cluster-settings.yaml",
                    f"data.{key}",
                    "is used by no manifest",
                    "use it as ${" + key + "} or remove it from every profile",
                )


@rule
def our_image_is_of_this_version(platform: Platform) -> Iterator[Finding]:
    """Settings, docs and commands are those of the code beside them, so the image must be too."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    version = str(project["project"]["version"])
    for profile in platform.profiles:
        image = profile.settings.get("IMAGE_IOT", "")
        if image.partition("@")[0].rpartition(":")[2] != version:
            yield Finding(
                f"clusters/{profile.name}/cluster-settings.yaml",
                "data.IMAGE_IOT",
                f"is {image}, the project's version is {version}",
                f"build the image of this version and name it with the tag {version}",
            )


@rule
def our_variables_exist(platform: Platform) -> Iterator[Finding]:
    """Every IOT_ variable is in the tables of settings."""
    text = "".join((REPOSITORY / name).read_text(encoding="utf-8") for name in TABLES)
    known = set(re.findall(r"`(IOT_[A-Z0-9_]+)`", text))
    for profile in platform.profiles:
        for resource in profile.resources:
            for path, value in leaves(resource.data):
                names = {part for part in path if VARIABLE.fullmatch(part)}
                if isinstance(value, str) and (path and path[-1] == "name"):
                    names |= {value} if VARIABLE.fullmatch(value) else set()
                for name in sorted(names - known):
                    yield resource.finding(
                        ".".join(path),
                        f"{name} is no setting",
                        f"use a variable of {' or '.join(TABLES)}",
                    )


@rule
def values_stay_text(platform: Platform) -> Iterator[Finding]:
    """After substitution a number in an annotation, label or variable is refused by Kubernetes."""
    for profile in platform.profiles:
        for resource in profile.resources:
            for path, value in leaves(resource.data):
                text = "annotations" in path[:-1] or "labels" in path[:-1] or "matchLabels" in path
                if resource.kind == "ConfigMap" and path[:1] == ("data",):
                    text = True
                if path and path[-1] == "value" and "env" in path:
                    text = True
                if text and value is not None and not isinstance(value, str):
                    if resource.kind in {"HelmRelease", "PrometheusRule", "Tenant"}:
                        continue
                    yield resource.finding(
                        ".".join(path),
                        f"becomes {value!r}, which is no text",
                        "kustomize drops quotes: keep it apart from substitution or pad it",
                    )
