"""Addresses of the LAN: from the plan, unique, assigned in the present way, not a detour."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address

from tests.platform.gate.model import Finding, Resource, leaves, nodes
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule

ADDRESS = "metallb.io/loadBalancerIPs"
SHARED = "metallb.io/allow-shared-ip"
# These speak about addresses: who asks for one, who publishes, certifies or probes it.
MAY_NAME = {
    "Service", "Probe", "Certificate", "DNSEndpoint", "IPAddressPool", "Ingress", "NetworkPolicy",
}  # fmt: skip
MAY_NAME_CHARTS = {"pihole", "external-dns", "prometheus-blackbox-exporter"}


def _annotated(profile: Profile) -> Iterator[tuple[Resource, str, dict[str, str]]]:
    for resource in profile.resources:
        for path, node in nodes(resource.data):
            if ADDRESS in node:
                yield resource, ".".join(path), node
    for release in profile.helmfile:
        stand_in = Resource(
            {"kind": "HelmRelease", "metadata": {"name": release.name}}, release.file, "", ""
        )
        for path, node in nodes(release.values):
            if ADDRESS in node:
                yield stand_in, ".".join(path), node


@rule
def addresses_are_planned_and_unique(platform: Platform) -> Iterator[Finding]:
    """Each address is a setting of its own, inside the pool; sharing is agreed by both sides."""
    for profile in platform.profiles:
        first, last = (profile.settings.get(key, "") for key in ("POOL_FIRST", "POOL_LAST"))
        planned = {v: k for k, v in profile.settings.items() if k.startswith("IP_")}
        if len(planned) < sum(key.startswith("IP_") for key in profile.settings):
            yield Finding(
                f"clusters/{profile.name}/cluster-settings.yaml",
                "data.IP_*",
                "gives one address to two services",
                "each service has an address of its own",
            )
        taken: dict[str, tuple[str, object]] = {}
        for resource, field, node in _annotated(profile):
            for address in str(node[ADDRESS]).split(","):
                if not _inside(address.strip(), first, last):
                    yield resource.finding(
                        field, f"{address} is outside of the pool {first}-{last}", "use ${IP_...}"
                    )
                elif address.strip() not in planned:
                    yield resource.finding(
                        field, f"{address} is in no setting", "use a setting IP_..."
                    )
                sharing = node.get(SHARED)
                other = taken.get(address)
                if other and (sharing is None or other[1] != sharing):
                    yield resource.finding(
                        field,
                        f"{address} is taken by {other[0]}",
                        f"take a free one, or give both the same {SHARED}",
                    )
                taken[address] = (resource.title, sharing)


def _inside(address: str, first: str, last: str) -> bool:
    try:
        return IPv4Address(first) <= IPv4Address(address) <= IPv4Address(last)
    except ValueError:
        return False


@rule
def services_of_the_lan_keep_the_client(platform: Platform) -> Iterator[Finding]:
    """A LoadBalancer has a planned address, and externalTrafficPolicy Local shows who calls."""
    for profile in platform.profiles:
        for found in profile.of("Service"):
            if found.get("spec.type") != "LoadBalancer":
                continue
            if ADDRESS not in found.annotations:
                yield found.finding("annotations", f"lack {ADDRESS}", "set it to ${IP_...}")
            if found.get("spec.externalTrafficPolicy") != "Local":
                yield found.finding(
                    "spec.externalTrafficPolicy",
                    "is not Local, so policies see the node instead of the client",
                    "set it to Local",
                )
        for release in profile.releases:
            for path, node in nodes(release.values):
                if node.get("type") == "LoadBalancer" and not _has_address(node):
                    yield release.finding(
                        ".".join(("values", *path)),
                        "is a LoadBalancer without an address",
                        f"set {ADDRESS} to ${{IP_...}}",
                    )


def _has_address(node: dict[str, object]) -> bool:
    return any(path[-1] == ADDRESS for path, _ in leaves(node))


@rule
def no_former_way_to_ask(platform: Platform) -> Iterator[Finding]:
    """The old prefix and spec.loadBalancerIP are deprecated."""
    for profile in platform.profiles:
        for resource in profile.resources:
            if resource.kind == "CustomResourceDefinition":
                continue
            for path, value in leaves(resource.data):
                old = [key for key in path if key.startswith("metallb.universe.tf/")]
                if old or (path and path[-1] == "loadBalancerIP" and value):
                    yield resource.finding(
                        ".".join(path), "is deprecated", f"use the annotation {ADDRESS}"
                    )


@rule
def pods_do_not_go_through_the_lan(platform: Platform) -> Iterator[Finding]:
    """Services speak to each other by their cluster names, never by a LoadBalancer's address."""
    for profile in platform.profiles:
        charts = {(found.file, found.name): found.chart for found in profile.releases}
        addresses = {value for key, value in profile.settings.items() if key.startswith("IP_")}
        if not addresses:
            continue
        pattern = re.compile(r"(?<![\d.])(" + "|".join(map(re.escape, addresses)) + r")(?![\d.])")
        for resource in profile.resources:
            if resource.kind in MAY_NAME or resource.name == "cluster-settings":
                continue
            if charts.get((resource.file, resource.name)) in MAY_NAME_CHARTS:
                continue
            for path, value in leaves(resource.data):
                if ADDRESS in path or not isinstance(value, str):
                    continue
                found = pattern.search(value)
                if found and "ipAddresses" not in path:
                    yield resource.finding(
                        ".".join(path),
                        f"goes through the LAN address {found.group(1)}",
                        "use the Service's name in the cluster",
                    )


@rule
def addresses_are_settings(platform: Platform) -> Iterator[Finding]:
    """A literal address in a manifest is changed in one place and forgotten in another."""
    known = {
        value
        for profile in platform.profiles
        for key, value in profile.settings.items()
        if key.startswith(("IP_", "NODE_IP", "POOL_", "GATEWAY_IP", "LAN_CIDR"))
    }
    for document in platform.sources.documents:
        if document.file.startswith(("clusters/", "host/")) or "/tests/" in document.file:
            continue
        for path, value in leaves(document.data):
            literal = sorted(one for one in known if isinstance(value, str) and _names(one, value))
            if literal:
                yield Finding(
                    document.file,
                    ".".join(path),
                    f"writes {literal[0]} out",
                    "use the setting of clusters/*/cluster-settings.yaml",
                )


def _names(address: str, value: str) -> bool:
    return re.search(rf"(?<![\d.]){re.escape(address)}(?![\d.])", value) is not None


@rule
def the_pool_waits_to_be_asked(platform: Platform) -> Iterator[Finding]:
    """Nothing takes a planned address by chance; L2 announces this pool and no other."""
    for profile in platform.profiles:
        for pool in profile.of("IPAddressPool"):
            if pool.get("spec.autoAssign") is not False:
                yield pool.finding("spec.autoAssign", "is not false", "set it to false")
            expected = f"{profile.settings.get('POOL_FIRST')}-{profile.settings.get('POOL_LAST')}"
            if pool.get("spec.addresses") != [expected]:
                yield pool.finding(
                    "spec.addresses", f"is not {expected}", "use ${POOL_FIRST}-${POOL_LAST}"
                )
        pools = {pool.name for pool in profile.of("IPAddressPool")}
        for advertisement in profile.of("L2Advertisement"):
            if set(advertisement.get("spec.ipAddressPools") or []) != pools:
                yield advertisement.finding(
                    "spec.ipAddressPools", "does not name the pool", f"name {sorted(pools)}"
                )
