"""Values without which a chart misbehaves, and resources of every container that a chart runs."""

from __future__ import annotations

from collections.abc import Iterator

from tests.platform.gate.model import Finding, Resource
from tests.platform.gate.platform import Platform
from tests.platform.gate.rules import rule


@rule
def charts_have_the_values_they_need(platform: Platform) -> Iterator[Finding]:
    """Defaults of charts that bite on one node are overridden."""
    for profile in platform.profiles:
        for release in profile.releases:
            for path, (value, reason) in platform.charts["required"].get(release.chart, {}).items():
                found = release.get(path)
                if found != value:
                    yield release.finding(
                        f"values.{path}", f"is {found!r}, not {value!r}", f"set it: {reason}"
                    )


@rule
def chart_containers_have_resources(platform: Platform) -> Iterator[Finding]:
    """Each container of a chart asks for CPU and memory and ends at a memory limit."""
    for profile in platform.profiles:
        for release in profile.releases:
            if release.is_local:
                continue
            containers = platform.charts["containers"].get(release.chart)
            if containers is None:
                yield release.finding(
                    "chart",
                    f"{release.chart} is unknown to the gate",
                    "describe its containers in tests/platform/charts.yaml",
                )
                continue
            for container in containers:
                if "path" not in container or release.get(container.get("when", "")) is False:
                    continue
                resources = release.get(container["path"], {})
                if container.get("replicas") and str(release.get(container["replicas"])) == "0":
                    continue
                for field in ("requests.cpu", "requests.memory", "limits.memory"):
                    kind, key = field.split(".")
                    if not (resources.get(kind) or {}).get(key):
                        yield release.finding(
                            f"values.{container['path']}.{field}", "is not set", "set it"
                        )


@rule
def releases_are_careful(platform: Platform) -> Iterator[Finding]:
    """A release runs with its namespace's account, retries, and creates or replaces definitions."""
    for profile in platform.profiles:
        for found in profile.of("HelmRelease"):
            if not found.owner:
                continue
            if not found.get("spec.serviceAccountName"):
                yield found.finding(
                    "spec.serviceAccountName", "is not set", "use helm, the namespace's account"
                )
            if not found.get("spec.install") or not found.get("spec.upgrade"):
                yield found.finding(
                    "spec.install, spec.upgrade",
                    "do not say what happens on failure",
                    "set remediation.retries for both",
                )
            reference = found.get("spec.chartRef") or found.get("spec.chart.spec.sourceRef") or {}
            if reference.get("namespace", found.namespace) != found.namespace:
                yield found.finding(
                    "sourceRef.namespace", "is another namespace", "put the source beside it"
                )
            yield from _source(profile.resources, found, reference)


def _source(
    resources: list[Resource], found: Resource, reference: dict[str, str]
) -> Iterator[Finding]:
    wanted = (reference.get("kind"), found.namespace, reference.get("name"))
    if not any((one.kind, one.namespace, one.name) == wanted for one in resources):
        yield found.finding(
            "sourceRef",
            f"{wanted[0]} {wanted[1]}/{wanted[2]} does not exist",
            "add it beside the HelmRelease",
        )
