"""Versions are exact and said once, in versions.yaml; dead registries are not used."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.platform.gate.model import Finding, Resource, Tree, leaves, nodes
from tests.platform.gate.observability import REPOSITORY
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule

EXACT = re.compile(r"^v?\d+\.\d+(\.\d+)*([-+][\w.+-]+)?$|^RELEASE\.[\dTZ-]+$|^[\w.]*\d[\w.+-]*$")
CHART = re.compile(r"^v?\d+\.\d+\.\d+([-+][\w.+-]+)?$")
BANNED = re.compile(
    r"(^|[/:])latest$|:latest@|bitnami|(^|/)minio/(minio|mc)(:|@|$)|tabulario/iceberg-rest"
)
IMAGE_KEYS = {"image", "imageName", "runnerImage"}


@rule
def charts_are_the_inventorys(platform: Platform) -> Iterator[Finding]:
    """A release's version is exact and the one that versions.yaml names."""
    components = platform.versions.get("components") or {}
    by_chart: dict[str, list[Tree]] = {}
    for component in components.values():
        by_chart.setdefault(str(component.get("chart")), []).append(component)
    for profile in platform.profiles:
        for release in profile.releases:
            if release.is_local:
                continue
            if not CHART.match(release.version):
                yield release.finding(
                    "chart version", f"{release.version!r} is not exact", "write one version"
                )
            found = by_chart.get(release.chart) or by_chart.get(
                release.chart.removeprefix("minio-"), []
            )
            if not found:
                yield release.finding(
                    "chart", f"{release.chart} is not in versions.yaml", "add it to components"
                )
            elif release.version not in {str(one.get("version")) for one in found}:
                yield release.finding(
                    "chart version",
                    f"is {release.version}, versions.yaml says {found[0].get('version')}",
                    "use one of both in both places",
                )


@rule
def images_are_the_inventorys(platform: Platform) -> Iterator[Finding]:
    """Every image is in versions.yaml with the same tag, and the same digest when it has one."""
    for profile in platform.profiles:
        known = _known(platform, profile)
        for resource, field, image in _images(profile):
            if BANNED.search(image):
                yield resource.finding(
                    field, f"{image} is banned", "use a maintained image with an exact tag"
                )
                continue
            name, tag, digest = split(image)
            if name not in known:
                yield resource.finding(
                    field, f"{name} is not in versions.yaml", "add it to images with its tag"
                )
            elif (tag, digest) not in known[name]:
                yield resource.finding(
                    field,
                    f"{image} is not what versions.yaml says of {name}",
                    f"use one of {sorted(f'{t}@{d}' if d else t for t, d in known[name])}",
                )


@rule
def the_inventory_is_exact(platform: Platform) -> Iterator[Finding]:
    """versions.yaml holds no range, nothing floating, nothing banned, nothing unused."""
    charts = {release.chart for profile in platform.profiles for release in profile.releases}
    charts |= {chart.removeprefix("minio-") for chart in charts}
    for name, component in (platform.versions.get("components") or {}).items():
        if not CHART.match(str(component.get("version"))):
            yield _inventory(f"components.{name}", "has no exact version", "write one version")
        chart = component.get("chart")
        if chart is not None and chart not in charts:
            yield _inventory(f"components.{name}", f"chart {chart} is not used", "remove it")
    for name, image in (platform.versions.get("images") or {}).items():
        tag, digest = str(image.get("tag")), image.get("digest")
        if not EXACT.match(tag) or BANNED.search(f"{image.get('image')}:{tag}"):
            yield _inventory(f"images.{name}", f"{tag} is not exact or banned", "pin a version")
        if digest is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", str(digest)):
            yield _inventory(f"images.{name}", "has no valid digest", "sha256 and 64 hex digits")
        for path in image.get("used_by") or []:
            inside = str(path).removeprefix("platform/")
            if not ((REPOSITORY if inside == path else platform.root) / inside).exists():
                yield _inventory(f"images.{name}.used_by", f"{path} does not exist", "mend it")


def _inventory(field: str, wrong: str, mend: str) -> Finding:
    return Finding("versions.yaml", field, wrong, mend)


def _known(platform: Platform, profile: Profile) -> dict[str, set[tuple[str, str]]]:
    known: dict[str, set[tuple[str, str]]] = {}
    for image in (platform.versions.get("images") or {}).values():
        pair = (str(image.get("tag")), str(image.get("digest") or ""))
        known.setdefault(canonical(str(image.get("image"))), set()).add(pair)
    for key, value in profile.settings.items():
        if key.startswith("IMAGE_"):
            name, tag, digest = split(value)
            known.setdefault(name, set()).add((tag, digest))
    return known


def _images(profile: Profile) -> Iterator[tuple[Resource, str, str]]:
    trees = [(resource, resource.data) for resource in profile.resources]
    for release in profile.helmfile:
        stand_in = Resource(
            {"kind": "HelmRelease", "metadata": {"name": release.name}}, release.file, "", ""
        )
        trees.append((stand_in, release.values))
    for resource, tree in trees:
        if resource.kind in {"CustomResourceDefinition", "ConfigMap", "NetworkPolicy"}:
            continue
        for path, value in leaves(tree):
            if path and path[-1] in IMAGE_KEYS and isinstance(value, str) and value:
                yield resource, ".".join(path), value
        for path, node in nodes(tree):
            image = _joined(node)
            if image:
                yield resource, ".".join(path), image


def _joined(node: Tree) -> str:
    """registry/repository:tag@digest of an image block in a chart's values."""
    repository, tag = node.get("repository"), node.get("tag")
    if not isinstance(repository, str) or not isinstance(tag, str | float | int):
        return ""
    registry = node.get("registry")
    name = f"{registry}/{repository}" if registry else repository
    digest = node.get("digest") or (f"sha256:{node['sha']}" if node.get("sha") else "")
    return f"{name}:{tag}" + (f"@{digest}" if digest else "")


def split(image: str) -> tuple[str, str, str]:
    """Name, tag and digest of an image reference."""
    name, _, digest = image.partition("@")
    head, _, tail = name.rpartition("/")
    last, _, tag = tail.partition(":")
    return canonical(f"{head}/{last}" if head else last), tag, digest


def canonical(name: str) -> str:
    """An image's name without Docker Hub's implied parts."""
    return name.removeprefix("docker.io/").removeprefix("library/")
