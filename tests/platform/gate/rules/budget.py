"""The sum of requests fits the node of each profile, with the largest job beside it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.platform.gate.budget import requests_of_jobs, shares
from tests.platform.gate.model import Finding, Resource
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.quantities import cpu_cores, kubernetes_bytes, shown
from tests.platform.gate.rules import rule


@rule
def requests_fit_the_node(platform: Platform) -> Iterator[Finding]:
    """What is asked for exists: memory and cores of the profile's node."""
    for profile in platform.profiles:
        node = (platform.overview.get("nodes") or {}).get(profile.name)
        file = f"clusters/{profile.name}/cluster-settings.yaml"
        if node is None:
            yield Finding(
                file, "", "has no node size", "add it to nodes in tests/platform/overview.yaml"
            )
            continue
        every = shares(platform, profile)
        jobs = max((memory for _, memory in requests_of_jobs(profile)), default=0.0)
        memory = sum(share.memory for share in every) + jobs
        cores = sum(share.cpu for share in every)
        if memory > kubernetes_bytes(node["memory"]):
            yield Finding(
                file,
                "memory",
                f"requests add up to {shown(memory)}, the node has {node['memory']}",
                "lower requests or leave components out of this profile",
            )
        if cores > cpu_cores(node["cpu"]):
            yield Finding(
                file,
                "cpu",
                f"requests add up to {cores:.2f} cores, the node has {node['cpu']}",
                "lower requests or leave components out of this profile",
            )


@rule
def requests_fit_their_quota(platform: Platform) -> Iterator[Finding]:
    """A namespace whose quota is smaller than its pods waits for ever."""
    for profile in platform.profiles:
        asked = {share.component: share for share in shares(platform, profile)}
        for quota in profile.of("ResourceQuota"):
            share = asked.get(quota.namespace)
            if share is None:
                continue
            yield from _held(profile, quota, "requests.memory", share.memory)
            yield from _held(profile, quota, "limits.memory", share.limit)


def _held(profile: Profile, quota: Resource, key: str, needed: float) -> Iterator[Finding]:
    hard = (quota.get("spec.hard") or {}).get(key)
    if hard is not None and needed > kubernetes_bytes(hard):
        yield quota.finding(
            f"spec.hard.{key}",
            f"{hard} is less than the {shown(needed)} of its pods in profile {profile.name}",
            "raise it",
        )
