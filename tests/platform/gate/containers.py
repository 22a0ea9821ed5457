"""Pods and containers in whatever kind they are declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.platform.gate.model import Finding, Resource, Tree, dig
from tests.platform.gate.platform import Profile

_TEMPLATES = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
SERVING = {"Deployment", "StatefulSet", "DaemonSet"}


@dataclass(frozen=True)
class Pods:
    """The pods that a resource makes."""

    resource: Resource
    template: Tree

    @property
    def spec(self) -> Tree:
        """The pod's spec."""
        return dict(dig(self.template, "spec", default={}))

    @property
    def labels(self) -> dict[str, str]:
        """The pod's labels."""
        return dict(dig(self.template, "metadata", "labels", default={}))

    @property
    def replicas(self) -> int:
        """How many of them ask for resources at the same time."""
        if self.resource.kind in {"Deployment", "StatefulSet"}:
            return int(self.resource.get("spec.replicas", 1))
        return 0 if self.resource.kind in {"Job", "CronJob"} else 1

    @property
    def serves(self) -> bool:
        """True when the pods run for ever, so that probes must watch them."""
        return self.resource.kind in SERVING

    def containers(self, *, init: bool = True) -> Iterator[Tree]:
        """Their containers, the init containers too unless told otherwise."""
        if init:
            yield from dig(self.spec, "initContainers", default=[])
        yield from dig(self.spec, "containers", default=[])

    def finding(self, field: str, wrong: str, mend: str) -> Finding:
        """A finding about a field of the pods."""
        return self.resource.finding(field, wrong, mend)


def pods_of(resource: Resource) -> Iterator[Pods]:
    """The pods of one resource."""
    if resource.kind in _TEMPLATES and resource.group in {"", "apps", "batch"}:
        yield Pods(resource, dig(resource.data, *_TEMPLATES[resource.kind], default={}))
    elif resource.kind == "ClickHouseInstallation":
        for template in resource.get("spec.templates.podTemplates") or []:
            yield Pods(resource, template)


def pods(profile: Profile) -> Iterator[Pods]:
    """All pods that manifests declare themselves."""
    for resource in profile.resources:
        yield from pods_of(resource)
