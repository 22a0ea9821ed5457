"""Network policies: each allowed flow is open at both ends, and open to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.platform.gate.model import Finding, Resource, Tree, dig
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule

NAME = "kubernetes.io/metadata.name"
# Their policies come with the distribution or not at all.
OPEN = {"kube-system", "default"}


@dataclass(frozen=True)
class Allow:
    """One peer and one port of a policy."""

    policy: Resource
    direction: str
    peer: str
    peer_pods: tuple[tuple[str, str], ...]
    pods: tuple[tuple[str, str], ...]
    port: str
    protocol: str


def _labels(selector: Tree | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((dig(selector, "matchLabels", default={}) or {}).items()))


def _namespaces(policy: Resource, peer: Tree) -> list[str]:
    """Namespaces that a peer names; empty for addresses and for selectors that name none."""
    selector = peer.get("namespaceSelector")
    if "ipBlock" in peer:
        return []
    if selector is None:
        return [policy.namespace]
    names = [str(v) for k, v in (selector.get("matchLabels") or {}).items() if k == NAME]
    for expression in selector.get("matchExpressions") or []:
        if expression.get("key") == NAME and expression.get("operator") == "In":
            names += [str(value) for value in expression.get("values") or []]
    return names


def allows(profile: Profile) -> Iterator[Allow]:
    """Every namespace-to-namespace flow that policies allow."""
    for policy in profile.of("NetworkPolicy"):
        for direction, field in (("ingress", "from"), ("egress", "to")):
            for entry in policy.get(f"spec.{direction}") or []:
                ports = entry.get("ports") or [{}]
                for peer in entry.get(field) or []:
                    for namespace in _namespaces(policy, peer):
                        for port in ports:
                            yield Allow(
                                policy,
                                direction,
                                namespace,
                                _labels(peer.get("podSelector")),
                                _labels(policy.get("spec.podSelector")),
                                str(port.get("port", "")),
                                str(port.get("protocol", "TCP")),
                            )


@rule
def each_flow_is_open_at_both_ends(platform: Platform) -> Iterator[Finding]:
    """An egress without its ingress, or the other way round, is traffic that is dropped."""
    for profile in platform.profiles:
        every = list(allows(profile))
        left_out = [
            other
            for full in platform.profiles
            for other in allows(full)
            if other.policy.owner not in profile.flux
        ]
        declared = {found.name for found in profile.of("Namespace")}
        for allow in every:
            home = allow.policy.namespace
            if {home, allow.peer} & OPEN or (allow.port, allow.protocol) == ("53", "UDP"):
                continue
            if allow.peer not in declared:
                if allow.peer not in OPEN:
                    yield allow.policy.finding(
                        f"spec.{allow.direction}",
                        f"names the namespace {allow.peer}, which is not declared",
                        "mend the name",
                    )
                continue
            if not any(_answers(allow, other) for other in every) and not any(
                _answers(allow, other) for other in left_out
            ):
                other_way = "ingress" if allow.direction == "egress" else "egress"
                yield allow.policy.finding(
                    f"spec.{allow.direction}",
                    f"allows {home} {'to' if allow.direction == 'egress' else 'from'} "
                    f"{allow.peer}:{allow.port or 'any port'}, but no {other_way} there answers it",
                    f"add the {other_way} to the policies of {allow.peer}, or remove this one",
                )


def _answers(allow: Allow, other: Allow) -> bool:
    return (
        other.direction != allow.direction
        and other.policy.namespace == allow.peer
        and other.peer == allow.policy.namespace
        and (not allow.port or not other.port or allow.port == other.port)
        and _compatible(allow.peer_pods, other.pods)
        and _compatible(allow.pods, other.peer_pods)
    )


def _compatible(one: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]) -> bool:
    """No label that both ask for has two values."""
    left, right = dict(one), dict(other)
    return all(left[key] == right[key] for key in left.keys() & right.keys())


@rule
def allows_are_named(platform: Platform) -> Iterator[Finding]:
    """An allow says who and which port; an empty one is an open door."""
    for profile in platform.profiles:
        for policy in profile.of("NetworkPolicy"):
            for direction, field in (("ingress", "from"), ("egress", "to")):
                for number, entry in enumerate(policy.get(f"spec.{direction}") or []):
                    where = f"spec.{direction}.{number}"
                    own = all(_is_own(peer) for peer in entry.get(field) or [{}])
                    if not entry.get("ports") and not own:
                        yield policy.finding(f"{where}.ports", "are not named", "name the ports")
                    if not entry.get(field):
                        yield policy.finding(
                            f"{where}.{field}", "allows everybody", "name namespaces or addresses"
                        )
                    for peer in entry.get(field) or []:
                        yield from _wide(policy, where, peer)


def _is_own(peer: Tree) -> bool:
    """Pods of the policy's own namespace."""
    return bool(peer) and set(peer) == {"podSelector"}


def _wide(policy: Resource, where: str, peer: Tree) -> Iterator[Finding]:
    selector = peer.get("namespaceSelector")
    nameless = isinstance(selector, dict) and not _namespaces(policy, peer)
    # Prometheus and log agents reach into every namespace; they say so in the policy's name.
    if nameless and "any-namespace" not in policy.name:
        yield policy.finding(
            where,
            "selects namespaces without their names",
            f"select by {NAME}, or call the policy ...any-namespace when all are meant",
        )
    cidr = dig(peer, "ipBlock", "cidr")
    if cidr in {"0.0.0.0/0", "::/0"} and not dig(peer, "ipBlock", "except"):
        yield policy.finding(
            f"{where}.ipBlock", "is the whole world", "except the private ranges, or name a range"
        )
