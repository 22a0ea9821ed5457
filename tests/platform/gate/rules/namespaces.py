"""Namespaces are declared, labelled, limited and closed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.platform.gate.model import Finding, Resource
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule

ENFORCE = "pod-security.kubernetes.io/enforce"
LEVELS = {"restricted", "baseline", "privileged"}
# Kubernetes makes these.
GIVEN = {"kube-system", "kube-public", "kube-node-lease", "default"}
# Flux's own policies come with its operator; quotas there would stop the mender.
OF_FLUX = "flux-system"


def _by_namespace(profile: Profile, kind: str) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for resource in profile.of(kind):
        found.setdefault(resource.namespace, []).append(resource)
    return found


def _places(platform: Platform) -> Iterator[tuple[Profile, Resource]]:
    for profile in platform.profiles:
        for namespace in profile.of("Namespace"):
            yield profile, namespace


@rule
def each_used_namespace_is_declared(platform: Platform) -> Iterator[Finding]:
    """A namespace that a chart or kubectl makes has no policy."""
    for profile in platform.profiles:
        declared = {found.name for found in profile.of("Namespace")} | GIVEN
        for resource in profile.resources:
            if resource.namespace and resource.namespace not in declared:
                yield resource.finding(
                    "metadata.namespace",
                    f"{resource.namespace} is not declared",
                    "add it to infrastructure/namespaces",
                )
        for release in profile.helmfile:
            if release.namespace not in declared:
                yield release.finding(
                    "namespace",
                    f"{release.namespace} is not declared",
                    "add it to infrastructure/namespaces",
                )


@rule
def pod_security_is_enforced(platform: Platform) -> Iterator[Finding]:
    """Each namespace says which pods it takes; anything but restricted says why."""
    for _, namespace in _places(platform):
        level = namespace.labels.get(ENFORCE)
        if level not in LEVELS:
            yield namespace.finding(
                f"labels.{ENFORCE}", f"is {level}", "set restricted, or less with the reason"
            )
        elif level != "restricted" and "#" not in platform.text(namespace.file):
            yield namespace.finding(
                f"labels.{ENFORCE}", f"is {level} without a reason", "say why in a comment"
            )


@rule
def closed_by_default(platform: Platform) -> Iterator[Finding]:
    """Without a policy for all pods in both directions, forgotten traffic is allowed."""
    for profile, namespace in _places(platform):
        policies = _by_namespace(profile, "NetworkPolicy").get(namespace.name, [])
        closed: set[str] = set()
        for policy in policies:
            if policy.get("spec.podSelector") in ({}, None):
                types = set(policy.get("spec.policyTypes") or [])
                empty = {kind for kind in types if not policy.get(f"spec.{kind.lower()}")}
                closed |= empty
        missing = {"Ingress", "Egress"} - closed
        if missing and namespace.name not in GIVEN:
            yield namespace.finding(
                "NetworkPolicy",
                f"{namespace.name} is open by default for {' and '.join(sorted(missing))}",
                "add default-deny: podSelector {}, policyTypes [Ingress, Egress], no rules",
            )


@rule
def limited(platform: Platform) -> Iterator[Finding]:
    """A LimitRange gives defaults, a ResourceQuota the end; a quota of ours is never forgotten."""
    for profile, namespace in _places(platform):
        if namespace.name == OF_FLUX:
            continue
        for kind in ("LimitRange", "ResourceQuota"):
            if namespace.name not in _by_namespace(profile, kind):
                yield namespace.finding(kind, "is missing", f"add a {kind} beside the Namespace")


@rule
def namespaces_outlive_their_folder(platform: Platform) -> Iterator[Finding]:
    """Removing a namespace removes its volumes; Flux must never do that by itself."""
    for profile, namespace in _places(platform):
        owner = profile.flux.get(namespace.owner)
        kept = namespace.annotations.get("kustomize.toolkit.fluxcd.io/prune") == "disabled"
        if owner is not None and owner.get("spec.prune") is not False and not kept:
            yield namespace.finding(
                "annotations", f"would be pruned with {owner.name}", "set prune: false there"
            )
