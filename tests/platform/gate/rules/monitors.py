"""What offers metrics is scraped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.platform.gate.containers import Pods, pods
from tests.platform.gate.model import Finding, Resource
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule

METRICS = re.compile(r"metrics|prom|exporter")


@rule
def metrics_ports_are_scraped(platform: Platform) -> Iterator[Finding]:
    """A port called metrics without a monitor is a promise to nobody."""
    for profile in platform.profiles:
        monitors = list(profile.of("PodMonitor", "ServiceMonitor"))
        for found in pods(profile):
            if not found.serves and found.resource.kind != "ClickHouseInstallation":
                continue
            for port in _metrics_ports(found):
                if not any(_watches(profile, one, found) for one in monitors):
                    yield found.finding(
                        f"port {port}",
                        "is scraped by no monitor",
                        "add a PodMonitor that selects these pods",
                    )


def _metrics_ports(found: Pods) -> Iterator[str]:
    for container in found.containers(init=False):
        for port in container.get("ports") or []:
            if METRICS.search(str(port.get("name", ""))):
                yield str(port["name"])


def _watches(profile: Profile, monitor: Resource, found: Pods) -> bool:
    namespaces = monitor.get("spec.namespaceSelector", {})
    home = found.resource.namespace
    there = (
        namespaces.get("any") is True
        or home in (namespaces.get("matchNames") or [])
        or (not namespaces and monitor.namespace == home)
    )
    labels = monitor.get("spec.selector.matchLabels") or {}
    if not there:
        return False
    if monitor.kind == "PodMonitor":
        # The operator of ClickHouse adds labels of its own to the pods.
        operated = found.resource.kind == "ClickHouseInstallation"
        return operated or labels.items() <= found.labels.items()
    return any(
        labels.items() <= service.labels.items()
        and (service.get("spec.selector") or {}).items() <= found.labels.items()
        for service in profile.of("Service")
        if service.namespace == home
    )


@rule
def monitors_find_something(platform: Platform) -> Iterator[Finding]:
    """A monitor of ours whose selector fits no pod or service of its namespace watches nothing."""
    for profile in platform.profiles:
        charted = {release.namespace for release in profile.releases}
        operated = {one.namespace for one in profile.of("ClickHouseInstallation", "Cluster")}
        for monitor in profile.of("PodMonitor"):
            names = monitor.get("spec.namespaceSelector.matchNames") or [monitor.namespace]
            if set(names) & (charted | operated) or monitor.get("spec.namespaceSelector.any"):
                continue
            if not any(_watches(profile, monitor, found) for found in pods(profile)):
                yield monitor.finding("spec.selector", "fits no pod", "use the pods' labels")
