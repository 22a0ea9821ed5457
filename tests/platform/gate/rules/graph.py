"""Flux Kustomizations: complete, resolvable, ordered, with the fewest rights."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.platform.gate.model import Finding, Resource
from tests.platform.gate.platform import Platform, Profile, depends_on, folder_of
from tests.platform.gate.rules import rule

SOURCE = {"kind": "GitRepository", "name": "platform"}
FIELDS = ("interval", "retryInterval", "timeout", "prune", "wait", "serviceAccountName")


@rule
def kustomizations_are_complete(platform: Platform) -> Iterator[Finding]:
    """Every field that decides about time, removal and rights is said."""
    for profile in platform.profiles:
        for found in profile.flux.values():
            for field in FIELDS:
                if found.get(f"spec.{field}") is None:
                    yield found.finding(f"spec.{field}", "is not said", f"set spec.{field}")
            if found.namespace != "flux-system":
                yield found.finding(
                    "metadata.namespace", f"is {found.namespace}", "use flux-system"
                )
            reference = found.get("spec.sourceRef", {})
            if {key: reference.get(key) for key in SOURCE} != SOURCE:
                yield found.finding(
                    "spec.sourceRef", f"is {reference}", "use GitRepository platform"
                )
            expected = f"clusters/base/{found.name}.yaml"
            if found.file.startswith("clusters/base/") and found.file != expected:
                yield found.finding("metadata.name", "is not its file's name", f"use {expected}")


@rule
def nothing_is_cluster_admin(platform: Platform) -> Iterator[Finding]:
    """No binding of ours gives cluster-admin, and no role of ours everything."""
    for profile in platform.profiles:
        for found in profile.of("ClusterRoleBinding", "RoleBinding"):
            if found.get("roleRef.name") == "cluster-admin":
                yield found.finding(
                    "roleRef", "gives cluster-admin", "bind a role that names its kinds"
                )
        for found in profile.of("ClusterRole", "Role"):
            for number, entry in enumerate(found.get("rules") or []):
                if "*" in (entry.get("resources") or []) and "*" in (entry.get("apiGroups") or []):
                    yield found.finding(
                        f"rules.{number}", "covers everything", "name groups and kinds"
                    )


@rule
def what_is_not_pruned_says_why(platform: Platform) -> Iterator[Finding]:
    """`prune: false` keeps data alive, and leaves rubbish: each has its reason."""
    for profile in platform.profiles:
        for found in profile.flux.values():
            if found.get("spec.prune") is not False:
                continue
            lines = platform.text(found.file).splitlines()
            at = [n for n, line in enumerate(lines) if re.match(r"\s*prune: false", line)]
            if not any("#" in lines[n] or lines[n - 1].lstrip().startswith("#") for n in at):
                yield found.finding(
                    "spec.prune", "is false without a reason", "say it in a comment"
                )


@rule
def the_graph_resolves(platform: Platform) -> Iterator[Finding]:
    """Each path is a folder, each name in dependsOn a Kustomization of the same cluster."""
    for profile in platform.profiles:
        for found in profile.flux.values():
            folder = folder_of(found)
            if not (platform.root / folder / "kustomization.yaml").is_file():
                yield found.finding(
                    "spec.path", f"{folder} has no kustomization.yaml", "create it or mend the path"
                )
            for name in depends_on(found):
                if name not in profile.flux:
                    yield found.finding(
                        "spec.dependsOn",
                        f"{name} does not exist in profile {profile.name}",
                        f"choose one of {', '.join(sorted(profile.flux))}",
                    )


@rule
def the_graph_has_no_cycle(platform: Platform) -> Iterator[Finding]:
    """A Kustomization that waits for itself never starts."""
    for profile in platform.profiles:
        for name, found in profile.flux.items():
            if name in profile.ancestors(name):
                yield found.finding(
                    "spec.dependsOn", "leads back to itself", "remove one of the edges"
                )


@rule
def everything_waits_for_namespaces(platform: Platform) -> Iterator[Finding]:
    """Policies and quotas are there before what they hold."""
    for profile in platform.profiles:
        for name, found in profile.flux.items():
            if name != "namespaces" and "namespaces" not in profile.ancestors(name):
                yield found.finding(
                    "spec.dependsOn", "does not lead to namespaces", "add it, or what waits for it"
                )


@rule
def definitions_come_before_resources(platform: Platform) -> Iterator[Finding]:
    """A custom resource's provider is in an ancestor, never in the same Kustomization."""
    providers: dict[str, list[str]] = platform.charts["custom_resources"]
    for profile in platform.profiles:
        owners = {release.chart: release.owner for release in profile.releases}
        for resource in profile.resources:
            charts = providers.get(resource.group)
            if charts is None or not resource.owner:
                continue
            yield from _ordered(profile, resource, charts, owners)


def _ordered(
    profile: Profile, resource: Resource, charts: list[str], owners: dict[str, str]
) -> Iterator[Finding]:
    having = [owners[chart] for chart in charts if chart in owners]
    if not having:
        yield resource.finding(
            "apiVersion",
            f"no release of {' or '.join(charts)} brings {resource.group} in {profile.name}",
            "add the release or leave the resource out of this profile",
        )
    elif resource.owner in having:
        yield resource.finding(
            "apiVersion",
            f"stands in the Kustomization {resource.owner} that brings its definition",
            "move it to a Kustomization that dependsOn it",
        )
    elif not set(having) & profile.ancestors(resource.owner) and "helmfile" not in having:
        yield resource.finding(
            "apiVersion",
            f"{resource.owner} does not wait for {having[0]}, which brings {resource.group}",
            f"add {having[0]} to dependsOn of {resource.owner}",
        )


@rule
def charts_with_monitors_wait_for_their_kinds(platform: Platform) -> Iterator[Finding]:
    """A chart that makes ServiceMonitors fails until the operator's definitions are there."""
    for profile in platform.profiles:
        for release in profile.releases:
            wants = list(_monitors(release.values))
            if not wants or release.owner not in profile.flux:
                continue
            if "prometheus-crds" not in profile.ancestors(release.owner):
                yield release.finding(
                    f"values.{wants[0]}",
                    f"makes monitors, but {release.owner} does not wait for prometheus-crds",
                    "add prometheus-crds to its dependsOn",
                )


def _monitors(tree: object, path: str = "") -> Iterator[str]:
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        here = f"{path}.{key}".lstrip(".")
        monitor = str(key).lower() in {"servicemonitor", "podmonitor", "prometheusrule"}
        if monitor and isinstance(value, dict) and value.get("enabled") is True:
            yield here
        yield from _monitors(value, here)
