"""Flux applies each folder as an account that may apply it, and little else."""

from __future__ import annotations

from collections.abc import Iterator

from tests.platform.gate.model import Finding
from tests.platform.gate.platform import Platform
from tests.platform.gate.rbac import rights
from tests.platform.gate.rules import rule


@rule
def accounts_exist(platform: Platform) -> Iterator[Finding]:
    """An account that is not declared has no rights."""
    for profile in platform.profiles:
        declared = {(one.namespace, one.name) for one in profile.of("ServiceAccount")}
        for found in [*profile.flux.values(), *profile.of("HelmRelease")]:
            account = found.get("spec.serviceAccountName")
            if account and (found.namespace, account) not in declared:
                yield found.finding(
                    "spec.serviceAccountName",
                    f"{found.namespace}/{account} is not declared",
                    "add it in infrastructure/namespaces, or use one that is",
                )


@rule
def accounts_may_apply_what_they_are_given(platform: Platform) -> Iterator[Finding]:
    """A Kustomization without the right to one of its kinds fails as a whole."""
    for profile in platform.profiles:
        known = {
            name: rights(profile, str(found.get("spec.serviceAccountName")))
            for name, found in profile.flux.items()
        }
        for resource in profile.resources:
            if resource.owner in known and not known[resource.owner].may_apply(resource):
                account = profile.flux[resource.owner].get("spec.serviceAccountName")
                yield resource.finding(
                    "kind",
                    f"{account}, as which Flux applies {resource.owner}, may not create and patch "
                    f"it{f' in {resource.namespace}' if resource.namespace else ''}",
                    f"give {account} the right in infrastructure/namespaces, or choose an account "
                    "that has it",
                )
