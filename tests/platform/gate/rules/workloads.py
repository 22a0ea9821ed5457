"""Our pods: bounded, watched, unprivileged, ranked, and never in the way of a drain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.platform.gate.containers import Pods, pods
from tests.platform.gate.model import Finding, Tree, dig, nodes
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.quantities import cpu_cores, kubernetes_bytes
from tests.platform.gate.rules import rule

PART_OF = "app.kubernetes.io/part-of"
NAME = "app.kubernetes.io/name"
BUILT_IN_CLASSES = {"system-node-critical", "system-cluster-critical"}
# Kubernetes' own operators put their probes on these.
OPERATED = {"ClickHouseInstallation"}


def _containers(platform: Platform) -> Iterator[tuple[Pods, Tree, str]]:
    for profile in platform.profiles:
        for found in pods(profile):
            for container in found.containers():
                yield found, container, f"container {container.get('name')}"


@rule
def containers_are_bounded(platform: Platform) -> Iterator[Finding]:
    """Requests for the scheduler, a memory limit for the neighbours, and requests within limits."""
    for found, container, title in _containers(platform):
        for field in ("requests.cpu", "requests.memory", "limits.memory"):
            kind, key = field.split(".")
            if not dig(container, "resources", kind, key):
                yield found.finding(f"{title} resources.{field}", "is not set", "set it")
        yield from _within(found, container, title)


def _within(found: Pods, container: Tree, title: str) -> Iterator[Finding]:
    for key, number in (("memory", kubernetes_bytes), ("cpu", cpu_cores)):
        asked = dig(container, "resources", "requests", key)
        limit = dig(container, "resources", "limits", key)
        try:
            too_much = bool(asked and limit) and number(asked) > number(limit)
        except ValueError as error:
            yield found.finding(f"{title} resources", str(error), "write it like 512Mi or 250m")
            continue
        if too_much:
            yield found.finding(
                f"{title} resources", f"asks for {asked} {key}, above {limit}", "raise the limit"
            )


@rule
def serving_containers_are_watched(platform: Platform) -> Iterator[Finding]:
    """Readiness decides about traffic, liveness about restarts."""
    for profile in platform.profiles:
        for found in pods(profile):
            if not found.serves:
                continue
            for container in found.containers(init=False):
                for probe in ("readinessProbe", "livenessProbe"):
                    if not container.get(probe):
                        yield found.finding(
                            f"container {container.get('name')} {probe}",
                            "is missing",
                            "add it; /readyz-like for readiness, /livez-like for liveness",
                        )


@rule
def containers_are_unprivileged(platform: Platform) -> Iterator[Finding]:
    """What the restricted level asks for, and a root file system that cannot be written."""
    for found, container, title in _containers(platform):
        context = {**dig(found.spec, "securityContext", default={})}
        own: Tree = container.get("securityContext") or {}
        context.update(own)
        checks: list[tuple[str, bool]] = [
            ("runAsNonRoot: true", context.get("runAsNonRoot") is True),
            ("readOnlyRootFilesystem: true", own.get("readOnlyRootFilesystem") is True),
            ("allowPrivilegeEscalation: false", own.get("allowPrivilegeEscalation") is False),
            ("capabilities.drop: [ALL]", "ALL" in (dig(own, "capabilities", "drop") or [])),
            (
                "seccompProfile.type: RuntimeDefault",
                dig(context, "seccompProfile", "type") == "RuntimeDefault",
            ),
        ]
        for wanted, holds in checks:
            if not holds:
                yield found.finding(
                    f"{title} securityContext", f"lacks {wanted}", "add it to pod or container"
                )
        if own.get("privileged") is True:
            yield found.finding(f"{title} securityContext", "is privileged", "name capabilities")


@rule
def pods_stay_off_the_host(platform: Platform) -> Iterator[Finding]:
    """No host network, processes or paths."""
    for profile in platform.profiles:
        for found in pods(profile):
            for field in ("hostNetwork", "hostPID", "hostIPC"):
                if found.spec.get(field):
                    yield found.finding(field, "is true", "remove it")
            for volume in found.spec.get("volumes") or []:
                if "hostPath" in volume:
                    yield found.finding(
                        f"volume {volume.get('name')}", "is a path of the host", "use a claim"
                    )


@rule
def tokens_are_for_those_who_use_them(platform: Platform) -> Iterator[Finding]:
    """A pod without a ServiceAccount of its own gets no token."""
    for profile in platform.profiles:
        for found in pods(profile):
            account = found.spec.get("serviceAccountName", "default")
            if found.spec.get("automountServiceAccountToken") is False:
                continue
            if account == "default":
                yield found.finding(
                    "automountServiceAccountToken", "is not false", "set it to false"
                )


@rule
def pods_are_ranked(platform: Platform) -> Iterator[Finding]:
    """Under pressure the node must know what goes first; ingest is above everything batch."""
    for profile in platform.profiles:
        classes: dict[str, Any] = {
            found.name: found.data.get("value", 0) for found in profile.of("PriorityClass")
        }
        for found in pods(profile):
            name = found.spec.get("priorityClassName")
            if name is None:
                yield found.finding(
                    "priorityClassName", "is not set", f"use one of {', '.join(sorted(classes))}"
                )
            elif _is_batch(found) and name in {"data-critical", "platform-critical"}:
                yield found.finding("priorityClassName", f"is {name} for a job", "use batch")
        for resource in profile.resources:
            for path, node in nodes(resource.data):
                name = node.get("priorityClassName")
                if name and name not in classes and name not in BUILT_IN_CLASSES:
                    yield resource.finding(
                        ".".join((*path, "priorityClassName")),
                        f"{name} does not exist",
                        f"use one of {', '.join(sorted(classes))}",
                    )
        yield from _order(profile, classes)


def _is_batch(found: Pods) -> bool:
    """Jobs that can wait; one that makes streams or tables at the start cannot."""
    batch = ("backup-", "drill-", "simulator")
    return found.resource.kind == "CronJob" or (
        found.resource.kind == "Job" and found.resource.name.startswith(batch)
    )


def _order(profile: Profile, classes: dict[str, Any]) -> Iterator[Finding]:
    ranks = ["platform-critical", "data-critical", "standard", "batch"]
    values = [classes[name] for name in ranks if name in classes]
    if values != sorted(values, reverse=True) or len(set(values)) != len(values):
        first = next(iter(profile.of("PriorityClass")))
        yield first.finding("value", f"{ranks} do not fall in this order", "mend the values")


@rule
def budgets_never_block_a_drain(platform: Platform) -> Iterator[Finding]:
    """A budget that allows no disruption of one replica stops every drain for ever."""
    for profile in platform.profiles:
        for found in profile.of("PodDisruptionBudget"):
            if found.get("spec.maxUnavailable") in {0, "0", "0%"} or found.get("spec.minAvailable"):
                yield found.finding(
                    "spec", "can block a drain", "use maxUnavailable: 1 and no minAvailable"
                )
        for release in profile.releases:
            for path, node in nodes(release.values):
                if "disruption" not in ".".join(path).lower() and "pdb" not in path:
                    continue
                blocks = node.get("minAvailable") or node.get("maxUnavailable") in {0, "0"}
                if blocks and node.get("enabled") is not False:
                    yield release.finding(
                        ".".join(("values", *path)), "can block a drain", "use maxUnavailable: 1"
                    )


@rule
def what_serves_has_a_budget(platform: Platform) -> Iterator[Finding]:
    """One pod at a time is drained, and each budget finds its pods."""
    for profile in platform.profiles:
        budgets = list(profile.of("PodDisruptionBudget"))
        used: set[str] = set()
        for found in pods(profile):
            if found.resource.kind not in {"Deployment", "StatefulSet"}:
                continue
            matching = [
                budget.name
                for budget in budgets
                if budget.namespace == found.resource.namespace
                and (budget.get("spec.selector.matchLabels") or {}).items() <= found.labels.items()
            ]
            used |= {f"{found.resource.namespace}/{name}" for name in matching}
            if not matching:
                yield found.finding(
                    "", "has no PodDisruptionBudget", "add one with maxUnavailable: 1"
                )


@rule
def everything_is_labelled(platform: Platform) -> Iterator[Finding]:
    """One label finds the platform, another the component."""
    for profile in platform.profiles:
        for found in profile.resources:
            if found.kind == "CustomResourceDefinition":
                continue
            if found.labels.get(PART_OF) != "iot-lakehouse":
                yield found.finding(
                    f"labels.{PART_OF}",
                    "is missing",
                    f"add {PART_OF}: iot-lakehouse to labels in the kustomization.yaml",
                )
        for found_pods in pods(profile):
            operated = found_pods.resource.kind in OPERATED | {"Job", "CronJob"}
            if not operated and NAME not in found_pods.labels:
                yield found_pods.finding(f"template labels.{NAME}", "is missing", "add it")
            if NAME not in found_pods.resource.labels:
                yield found_pods.finding(f"labels.{NAME}", "is missing", "add it")


@rule
def selectors_find_their_pods(platform: Platform) -> Iterator[Finding]:
    """A Service or policy whose labels fit no pod of ours sends traffic nowhere."""
    for profile in platform.profiles:
        namespaces = {release.namespace for release in profile.releases}
        operated = {
            found.namespace
            for found in profile.of("ClickHouseInstallation", "Cluster", "Tenant", "FluxInstance")
        }
        for found in profile.of("Service"):
            if found.namespace in namespaces | operated or found.get("spec.clusterIP") == "None":
                continue
            selector = found.get("spec.selector") or {}
            ours = [one for one in pods(profile) if one.resource.namespace == found.namespace]
            if selector and not any(selector.items() <= one.labels.items() for one in ours):
                yield found.finding("spec.selector", "fits no pod", "use the pods' labels")
