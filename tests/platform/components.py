"""Write platform/components.md: ``python -m tests.platform.components [--check]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.platform.gate.budget import requests_of_jobs, shares
from tests.platform.gate.model import Tree
from tests.platform.gate.platform import Platform, Profile, load
from tests.platform.gate.quantities import shown

HERE = Path(__file__).resolve().parent
PLATFORM = HERE.parents[1] / "platform"
FILE = "components.md"
ENDPOINTS = """\
Addresses are settings in `clusters/*/cluster-settings.yaml`, shown here for the profile `homelab`.
A row that differs from the first architecture overview of the platform names its decision."""
RESOURCES = """\
Sums of requests and memory limits, as the scheduler counts them. What no manifest asks for (k3s,
Linux, Flux's controllers) is an estimate."""


def page(platform: Platform) -> str:
    """The whole page."""
    parts = [
        "# Components",
        "Written by `make platform-docs` from the manifests; do not edit.",
        "## Charts and programs",
        "\n".join(_components(platform)),
        "## Images",
        "Charts bring further images of their own; these are the ones that files here name.",
        "\n".join(_images(platform)),
        "## Endpoints",
        ENDPOINTS,
        "\n".join(_endpoints(platform)),
        "## Resources",
        RESOURCES,
    ]
    for profile in platform.profiles:
        parts += [f"### Profile {profile.name}", "\n".join(_resources(platform, profile))]
    return "\n\n".join(parts) + "\n"


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _components(platform: Platform) -> Iterator[str]:
    yield _row("Component", "Chart", "Version", "Program", "Released", "Source")
    yield _row(*["---"] * 6)
    for name, one in sorted((platform.versions.get("components") or {}).items()):
        yield _row(
            name,
            one.get("chart") or "-",
            one.get("version"),
            one.get("app") or "-",
            one.get("released") or "-",
            one.get("repository"),
        )


def _images(platform: Platform) -> Iterator[str]:
    yield _row("Image", "Tag", "Pinned by digest")
    yield _row(*["---"] * 3)
    for one in sorted(
        (platform.versions.get("images") or {}).values(), key=lambda each: str(each.get("image"))
    ):
        yield _row(f"`{one.get('image')}`", one.get("tag"), "yes" if one.get("digest") else "no")


def _endpoints(platform: Platform) -> Iterator[str]:
    settings = next(one.settings for one in platform.profiles if one.name == "homelab")
    yield _row("Service", "Type", "Port", "Address", "Access", "Management", "Decision")
    yield _row(*["---"] * 7)
    for one in platform.overview.get("endpoints") or []:
        key = one.get("address")
        yield _row(
            one["service"],
            one["type"],
            one["port"],
            f"{settings.get(key, '?')} (`{key}`)" if key else "-",
            one["access"],
            one["management"],
            _decision(platform, one),
        )


def _decision(platform: Platform, row: Tree) -> str:
    pattern = row.get("differs")
    found = sorted(platform.root.glob(str(pattern))) if pattern else []
    return ", ".join(
        f"[{path.name[:4]}]({path.relative_to(platform.root).as_posix()})" for path in found
    )


def _resources(platform: Platform, profile: Profile) -> Iterator[str]:
    node = platform.overview["nodes"][profile.name]
    every = shares(platform, profile)
    job = max(requests_of_jobs(profile), key=lambda one: one[1], default=None)
    yield _row("Namespace or program", "CPU", "Memory", "Memory limit")
    yield _row("---", "---:", "---:", "---:")
    for one in every:
        yield _row(
            one.component,
            f"{one.cpu:.2f}",
            shown(one.memory),
            shown(one.limit) if one.limit else "-",
        )
    memory = sum(one.memory for one in every)
    if job is not None:
        yield _row(f"the largest job ({job[0].name}) beside them", "", shown(job[1]), "")
        memory += job[1]
    yield _row("**Sum**", f"**{sum(one.cpu for one in every):.2f}**", f"**{shown(memory)}**", "")
    yield _row("Node", node["cpu"], node["memory"].replace("Gi", " GiB"), "")


def main() -> int:
    """Write the page, or say that it is out of date."""
    parser = argparse.ArgumentParser(prog="python -m tests.platform.components")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it differs")
    given = parser.parse_args()
    text = page(load(PLATFORM, overview=HERE / "overview.yaml", charts=HERE / "charts.yaml"))
    path = PLATFORM / FILE
    if given.check:
        if path.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"{path} is out of date; write it with `make platform-docs`.\n")
            return 1
        return 0
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
