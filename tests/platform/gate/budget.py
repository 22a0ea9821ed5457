"""What a profile asks of its node: sums of requests, of manifests, charts and what is outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.platform.gate.containers import pods
from tests.platform.gate.helm import Release
from tests.platform.gate.model import Resource, dig
from tests.platform.gate.platform import Platform, Profile, opt_in_files
from tests.platform.gate.quantities import cpu_cores, kubernetes_bytes


@dataclass(frozen=True)
class Share:
    """What one component asks for and may at most use."""

    component: str
    cpu: float
    memory: float
    limit: float


def shares(platform: Platform, profile: Profile) -> list[Share]:
    """Every component's share, largest memory first."""
    found: dict[str, list[Share]] = {}
    for share in _all(platform, profile):
        found.setdefault(share.component, []).append(share)
    summed = [
        Share(
            name,
            sum(one.cpu for one in parts),
            sum(one.memory for one in parts),
            sum(one.limit for one in parts),
        )
        for name, parts in found.items()
    ]
    return sorted(summed, key=lambda one: (-one.memory, one.component))


def _all(platform: Platform, profile: Profile) -> Iterator[Share]:
    for name, (cpu, memory) in platform.charts["outside"].items():
        yield Share(name, cpu_cores(cpu), kubernetes_bytes(memory), 0.0)
    for release in profile.releases:
        yield from _of_release(platform, release)
    for found in pods(profile):
        if found.replicas and found.resource.owner not in opt_in(platform):
            for container in found.containers(init=False):
                yield _share(found.resource.namespace, container.get("resources"), found.replicas)
    for cluster in profile.of("Cluster"):
        if cluster.group == "postgresql.cnpg.io":
            count = int(cluster.get("spec.instances", 1))
            yield _share(cluster.namespace, cluster.get("spec.resources"), count)


def opt_in(platform: Platform) -> set[str]:
    """Flux Kustomizations that a site switches on by itself."""
    return {name.removesuffix(".yaml") for name in opt_in_files(platform.root)}


def _of_release(platform: Platform, release: Release) -> Iterator[Share]:
    for container in platform.charts["containers"].get(release.chart) or []:
        if "fixed" in container:
            cpu, memory = container["fixed"]
            yield Share(release.namespace, cpu_cores(cpu), kubernetes_bytes(memory), 0.0)
            continue
        if release.get(container.get("when", "")) is False:
            continue
        count = int(container.get("count", 1))
        if "replicas" in container:
            count = int(release.get(container["replicas"], 1))
        yield _share(release.namespace, release.get(container["path"]), count)


def _share(component: str, resources: object, count: int) -> Share:
    asked = dig(resources, "requests", default={})
    limits = dig(resources, "limits", default={})
    memory = kubernetes_bytes(asked.get("memory", 0))
    return Share(
        component,
        count * cpu_cores(asked.get("cpu", 0)),
        count * memory,
        count * kubernetes_bytes(limits.get("memory", 0)),
    )


def requests_of_jobs(profile: Profile) -> list[tuple[Resource, float]]:
    """What each job asks for while it runs."""
    return [
        (
            found.resource,
            sum(
                kubernetes_bytes(dig(one, "resources", "requests", "memory", default=0))
                for one in found.containers(init=False)
            ),
        )
        for found in pods(profile)
        if found.resource.kind in {"Job", "CronJob"}
    ]
