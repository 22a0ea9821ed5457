"""What a ServiceAccount may apply, from the roles and bindings of the same tree."""

from __future__ import annotations

from dataclasses import dataclass

from tests.platform.gate.model import Resource, Tree
from tests.platform.gate.platform import Profile

WRITES = {"create", "update", "patch", "*"}
_SAME = {"endpoints"}
CLUSTER_SCOPED = {
    "Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PriorityClass",
    "StorageClass", "IngressClass", "ClusterIssuer", "PersistentVolume", "ClusterImageCatalog",
    "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "VolumeSnapshotClass",
}  # fmt: skip


def plural(kind: str) -> str:
    """The resource name of a kind."""
    lower = kind.lower()
    if lower in _SAME:
        return lower
    if lower.endswith("y") and lower[-2] not in "aeiou":
        return lower[:-1] + "ies"
    if lower.endswith(("s", "x", "ch")):
        return lower + "es"
    return lower + "s"


@dataclass(frozen=True)
class Rights:
    """Rules that hold everywhere, and those of single namespaces."""

    everywhere: tuple[Tree, ...]
    inside: dict[str, tuple[Tree, ...]]

    def may_apply(self, resource: Resource) -> bool:
        """True when every rule set together lets the account create and change it."""
        rules = self.everywhere
        if resource.kind not in CLUSTER_SCOPED:
            rules += self.inside.get(resource.namespace, ())
        granted: set[str] = set()
        for rule in rules:
            if _covers(rule, resource):
                granted |= set(rule.get("verbs") or [])
        return "*" in granted or {"create", "patch"} <= granted


def _covers(rule: Tree, resource: Resource) -> bool:
    groups, kinds = rule.get("apiGroups") or [], rule.get("resources") or []
    names = rule.get("resourceNames")
    return (
        (resource.group in groups or "*" in groups)
        and (plural(resource.kind) in kinds or "*" in kinds)
        and (not names or resource.name in names)
    )


def rights(profile: Profile, account: str, namespace: str = "flux-system") -> Rights:
    """The rights of one account."""
    roles = {("ClusterRole", "", one.name): one for one in profile.of("ClusterRole")}
    roles |= {("Role", one.namespace, one.name): one for one in profile.of("Role")}
    everywhere: list[Tree] = []
    inside: dict[str, list[Tree]] = {}
    for binding in profile.of("ClusterRoleBinding", "RoleBinding"):
        if not _binds(binding, account, namespace):
            continue
        kind, name = str(binding.get("roleRef.kind")), str(binding.get("roleRef.name"))
        role = roles.get((kind, binding.namespace if kind == "Role" else "", name))
        rules = _rules(role, profile) if role else []
        if binding.kind == "ClusterRoleBinding":
            everywhere += rules
        else:
            inside.setdefault(binding.namespace, []).extend(rules)
    return Rights(tuple(everywhere), {key: tuple(value) for key, value in inside.items()})


def _binds(binding: Resource, account: str, namespace: str) -> bool:
    return any(
        subject.get("kind") == "ServiceAccount"
        and subject.get("name") == account
        and subject.get("namespace", binding.namespace) == namespace
        for subject in binding.data.get("subjects") or []
    )


def _rules(role: Resource, profile: Profile) -> list[Tree]:
    found = list(role.data.get("rules") or [])
    for selector in role.get("aggregationRule.clusterRoleSelectors") or []:
        wanted = (selector.get("matchLabels") or {}).items()
        for other in profile.of("ClusterRole"):
            if other is not role and wanted and wanted <= other.labels.items():
                found += other.data.get("rules") or []
    return found
