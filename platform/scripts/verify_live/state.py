# ruff: noqa: INP001 - a folder that is run, in no package
"""Checks of what the cluster says of itself: nodes, Flux, pods, volumes, certificates."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from cluster import Cluster, condition, full_name, moment, none_of
from report import Check, CheckError

# A certificate in its last fifth should have been renewed: cert-manager begins at a third.
LAST_SHARE = 0.2


def not_ready(items: list[dict[str, Any]], kind: str = "Ready") -> list[str]:
    """The objects whose condition is not true, with what it says."""
    told = ((full_name(item), *condition(item, kind)) for item in items)
    return [f"{name}: {message[:160]}" for name, status, message in told if status != "True"]


def all_ready(cluster: Cluster, kind: str, least: int = 1) -> str:
    """Every object of a kind is ready, and there are at least so many."""
    items = cluster.get(kind)
    if len(items) < least:
        raise CheckError(f"{len(items)} of {kind}, expected at least {least}")
    waiting = [item for item in items if not item.get("spec", {}).get("suspend")]
    held = len(items) - len(waiting)
    found = none_of(not_ready(waiting), f"{len(waiting)} ready")
    if held:
        raise CheckError(f"{held} suspended: resume them, see runbook/upgrades.md")
    return found


def pods(cluster: Cluster) -> str:
    """Every pod runs, or has ended well; a failed Job's pod is told by its alert."""
    bad = []
    for pod in cluster.get("pods"):
        phase = pod["status"].get("phase")
        if phase == "Succeeded" or pod["metadata"].get("deletionTimestamp"):
            continue
        owners = {owner["kind"] for owner in pod["metadata"].get("ownerReferences", [])}
        if phase == "CheckError" and "Job" in owners:
            continue
        ready, message = condition(pod, "Ready")
        if phase != "Running" or (ready != "True" and "Job" not in owners):
            bad.append(f"{full_name(pod)} is {phase}: {message[:120]}")
    return none_of(bad, "every pod is ready")


def claims(cluster: Cluster) -> str:
    """Every PersistentVolumeClaim is bound, on Longhorn."""
    items = cluster.get("persistentvolumeclaims")
    bad = [
        f"{full_name(item)} is {item['status'].get('phase')}, expected Bound"
        for item in items
        if item["status"].get("phase") != "Bound"
    ]
    return none_of(bad, f"{len(items)} bound")


def volumes(cluster: Cluster) -> str:
    """Every attached Longhorn volume is healthy."""
    items = cluster.get("volumes.longhorn.io", namespace="longhorn-system")
    bad = [
        f"{item['metadata']['name']} is {item['status'].get('robustness')}, expected healthy"
        for item in items
        if item["status"].get("state") == "attached"
        and item["status"].get("robustness") != "healthy"
    ]
    return none_of(bad, f"{len(items)} volumes")


def certificates(cluster: Cluster) -> str:
    """Every certificate is issued, and none is in the last fifth of its life."""
    items = cluster.get("certificates.cert-manager.io")
    bad = not_ready(items)
    for item in items:
        status = item.get("status", {})
        if "notAfter" in status and "notBefore" in status:
            life = moment(status["notAfter"]) - moment(status["notBefore"])
            left = moment(status["notAfter"]) - datetime.now(UTC)
            if left < life * LAST_SHARE:
                bad.append(f"{full_name(item)} has {left} left of {life}, expected a renewal")
    return none_of(bad, f"{len(items)} issued")


def claimed_addresses(cluster: Cluster) -> str:
    """Every LoadBalancer Service got the address that it asked for."""
    bad, count = [], 0
    for item in cluster.get("services"):
        if item["spec"].get("type") != "LoadBalancer":
            continue
        count += 1
        wanted = item["metadata"].get("annotations", {}).get("metallb.io/loadBalancerIPs")
        given = [at.get("ip") for at in item["status"].get("loadBalancer", {}).get("ingress", [])]
        if wanted not in given:
            bad.append(f"{full_name(item)} has {given}, expected {wanted}")
    return none_of(bad, f"{count} addresses")


KINDS = (
    "nodes",
    "fluxinstances.fluxcd.controlplane.io",
    "gitrepositories.source.toolkit.fluxcd.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "helmreleases.helm.toolkit.fluxcd.io",
    "clusterissuers.cert-manager.io",
    "clusters.postgresql.cnpg.io",
)


def checks(cluster: Cluster) -> list[Check]:
    """The checks of the cluster itself, in the order in which one depends on the other."""
    return [
        Check("cluster", "API server", partial(cluster.raw, "/readyz")),
        *(
            Check("cluster", kind.split(".")[0], partial(all_ready, cluster, kind))
            for kind in KINDS
        ),
        Check("cluster", "pods", partial(pods, cluster)),
        Check("cluster", "claims", partial(claims, cluster)),
        Check("cluster", "Longhorn volumes", partial(volumes, cluster)),
        Check("cluster", "certificates", partial(certificates, cluster)),
        Check("cluster", "LoadBalancer addresses", partial(claimed_addresses, cluster)),
    ]
