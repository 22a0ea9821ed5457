"""Secrets are named, never written; the contract lists each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.platform.gate.model import Finding, Resource, Tree, dig, leaves, nodes
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule

MADE_BY = ("sops", "operator", "cert-manager", "bootstrap")
_NAMED = re.compile(r"(?:^|[a-z-])(?:[sS]ecret|[sS]ecretName|[sS]ecretRef)$")
_REFERENCE = re.compile(r"(?:secretKeyRef|[sS]ecretRef|[sS]ecret)$")
_HOLDERS = {("basicAuth",), ("s3Credentials",)}
"""Fields whose every entry names a secret and a key of it."""
_SENSITIVE = re.compile(
    r"(?i)(passw(or)?d|passphrase|secret|token|api_?key|access_?key|secret_?key|private_?key|"
    r"credentials?)$"
)
_PROPERTY = re.compile(
    r"(?im)^[\w.-]*(?:password|secret|secret-key|access-key|token)[ \t]*=[ \t]*(\S+)[ \t]*$"
)
_DEFERRED = re.compile(r"^(\$|<<|/|%\(|file:|\{\{|ENC\[)")
_URL = re.compile(r"[a-z]+://[^\s/:@]+:([^\s@/${}<>*]+)@")


@dataclass(frozen=True)
class Use:
    """A reference to a secret."""

    resource: Resource
    namespace: str
    name: str
    key: str
    field: str


def uses(profile: Profile) -> Iterator[Use]:
    """Every reference to a secret in the profile's resources and Helm values."""
    for resource in profile.resources:
        yield from _uses_in(resource, resource.namespace, resource.data)
    for release in profile.helmfile:
        stand_in = Resource(
            {"kind": "HelmRelease", "metadata": {"name": release.name}}, release.file, "", ""
        )
        yield from _uses_in(stand_in, release.namespace, release.values)


def _uses_in(resource: Resource, namespace: str, tree: Tree) -> Iterator[Use]:
    if resource.kind in {"CustomResourceDefinition", "ClusterRole", "Role", "Secret"}:
        return
    for path, node in nodes(tree):
        for key, value in node.items():
            field = ".".join((*path, str(key)))
            named = _REFERENCE.search(str(key)) or tuple(path[-1:]) in _HOLDERS
            if isinstance(value, dict) and named:
                name = value.get("name") or value.get("secretName")
                if isinstance(name, str) and not value.get("optional"):
                    place = str(value.get("namespace") or namespace)
                    yield Use(resource, place, name, str(value.get("key", "")), field)
            elif isinstance(value, str) and value and _NAMED.search(str(key)):
                place = str(node.get("secretNamespace") or node.get("namespace") or namespace)
                if re.fullmatch(r"([a-z0-9-]+/)?[a-z0-9.-]+", value):
                    other, _, name = value.rpartition("/")
                    yield Use(resource, other or place, name, "", field)


def _is_key_of(field: str, node: Tree) -> bool:
    """A key of a secret, as basicAuth and S3 credentials of custom resources name it."""
    named = set(node) <= {"name", "key", "optional", "namespace"} and {"name", "key"} <= set(node)
    return named and not str(field).lower().startswith("configmap")


def _made_here(profile: Profile) -> set[tuple[str, str]]:
    """Secrets that a resource of ours makes: certificates and their issuers' keys."""
    made: set[tuple[str, str]] = set()
    for found in profile.of("Certificate"):
        made.add((found.namespace, str(found.get("spec.secretName"))))
    for found in profile.of("Ingress"):
        if any("cert-manager.io/" in key for key in found.annotations):
            for entry in found.get("spec.tls") or []:
                made.add((found.namespace, str(entry.get("secretName"))))
    for found in profile.of("ClusterIssuer", "Issuer"):
        made.add((found.namespace, str(found.get("spec.acme.privateKeySecretRef.name"))))
    return made


@rule
def each_secret_is_in_the_contract(platform: Platform) -> Iterator[Finding]:
    """A name that nobody has promised keeps pods waiting for ever."""
    promised = {(str(one.get("namespace")), str(one.get("name"))): one for one in platform.contract}
    for profile in platform.profiles:
        made = _made_here(profile)
        for use in uses(profile):
            place = (use.namespace, use.name)
            certified = {("cert-manager", name) for namespace, name in made if not namespace}
            if place in made or ("cert-manager", use.name) in certified:
                continue
            if not use.namespace and any(name == use.name for _, name in [*promised, *made]):
                continue
            if place not in promised:
                yield use.resource.finding(
                    use.field,
                    f"needs secret {use.namespace}/{use.name}, which the contract does not have",
                    "add it to secrets/contract.yaml",
                )
            elif use.key and use.key not in (promised[place].get("keys") or []):
                yield use.resource.finding(
                    use.field,
                    f"needs key {use.key}, which {use.namespace}/{use.name} does not have",
                    "add the key to secrets/contract.yaml, or use one of it",
                )


@rule
def each_promise_has_a_consumer(platform: Platform) -> Iterator[Finding]:
    """A secret that nothing reads is kept for nobody; a consumer that is gone is a lie."""
    used = {(use.namespace, use.name) for profile in platform.profiles for use in uses(profile)}
    charts = {release.chart for profile in platform.profiles for release in profile.releases}
    for chart, implied in platform.charts["implied_secrets"].items():
        used |= {tuple(place.split("/")) for place in implied} if chart in charts else set()
    names = {use.name for profile in platform.profiles for use in uses(profile)}
    known = {
        f"{found.kind}/{found.name}".lower()
        for profile in platform.profiles
        for found in profile.resources
    } | {
        f"helmrelease/{found.name}".lower()
        for profile in platform.profiles
        for found in profile.releases
    }
    for one in platform.contract:
        title = f"{one.get('namespace')}/{one.get('name')}"
        for consumer in one.get("consumers") or []:
            kind = str(consumer).lower().split("/")[0]
            if str(consumer).lower() not in known and kind not in {"host", "helmfile", "job"}:
                yield _contract(title, f"consumer {consumer} does not exist", "name what reads it")
        if not one.get("consumers"):
            yield _contract(title, "has no consumer", "name what reads it, or remove the entry")
        elif (one.get("namespace"), one.get("name")) not in used and one.get("name") not in names:
            named = [str(entry) for entry in one.get("consumers") or []]
            if not any(entry.lower().startswith(("host/", "helmfile/")) for entry in named):
                yield _contract(title, "is used by nothing", "use it or remove the entry")


@rule
def the_contract_is_complete(platform: Platform) -> Iterator[Finding]:
    """Each entry says who makes the secret, which keys it has and how it is rotated."""
    seen: list[tuple[str, str]] = []
    if not platform.contract:
        yield _contract("", "has no entries", "list every secret under `secrets:`")
    for one in platform.contract:
        title = f"{one.get('namespace')}/{one.get('name')}"
        if one.get("made_by") not in MADE_BY:
            yield _contract(
                title, f"made_by is {one.get('made_by')}", f"use one of {', '.join(MADE_BY)}"
            )
        for field in ("keys", "rotate"):
            if not one.get(field):
                yield _contract(title, f"has no {field}", f"say its {field}")
        seen.append((str(one.get("namespace")), str(one.get("name"))))
    for place in sorted({place for place in seen if seen.count(place) > 1}):
        yield _contract("/".join(place), "is listed twice", "merge the entries")
    if seen != sorted(seen):
        late = next(b for a, b in pairwise(seen) if b < a)
        yield _contract("/".join(late), "is out of order", "sort by namespace and name")


def _contract(title: str, wrong: str, mend: str) -> Finding:
    return Finding("secrets/contract.yaml", title, wrong, mend)


@rule
def no_secret_is_written_down(platform: Platform) -> Iterator[Finding]:
    """No literal under a key like password, in an env entry, a property or a URL."""
    names = {str(one.get("name")) for one in platform.contract}
    names |= {str(key) for one in platform.contract for key in one.get("keys") or []}
    for profile in platform.profiles:
        for resource in profile.resources:
            if resource.kind != "CustomResourceDefinition":
                yield from _literals(resource, resource.data, names)
        for release in profile.helmfile:
            stand_in = Resource(
                {"kind": "HelmRelease", "metadata": {"name": release.name}}, release.file, "", ""
            )
            yield from _literals(stand_in, release.values, names)


def _literals(resource: Resource, tree: Tree, names: set[str]) -> Iterator[Finding]:
    mend = "name a secret of secrets/contract.yaml instead"
    for path, value in leaves(tree):
        field, key = ".".join(path), path[-1] if path else ""
        if not isinstance(value, str) or not value:
            continue
        if _SENSITIVE.search(key) and not _harmless(key, value, names):
            yield resource.finding(field, "is written in plain text", mend)
        for found in _PROPERTY.finditer(value):
            if not _harmless("", found.group(1), names):
                yield resource.finding(field, f"holds {found.group(0).split('=')[0]} = ...", mend)
        if _URL.search(value):
            yield resource.finding(field, "is a URL with a password", mend)
    for path, node in nodes(tree):
        name, value = node.get("name"), node.get("value")
        if not isinstance(name, str) or not isinstance(value, str) or not value:
            continue
        if _SENSITIVE.search(name) and not _harmless("", value, names):
            yield resource.finding(".".join((*path, name)), "is written in plain text", mend)


def _harmless(key: str, value: str, names: set[str]) -> bool:
    if value in names or _DEFERRED.search(value) or value.lower() in {"true", "false", "none"}:
        return True
    # A name of a secret or of a key in it is no secret; the contract rule looks at these.
    return bool(_NAMED.search(key)) and bool(re.fullmatch(r"([a-z0-9-]+/)?[a-z0-9.-]+", value))


@rule
def secrets_are_encrypted(platform: Platform) -> Iterator[Finding]:
    """A Secret in Git has been through sops, all of it."""
    for document in platform.sources.resources():
        if document.data.get("kind") != "Secret":
            continue
        values = [
            str(value)
            for field in ("data", "stringData")
            for value in (dig(document.data, field, default={}) or {}).values()
        ]
        plain = [value for value in values if not value.startswith("ENC[")]
        if "sops" not in document.data or plain:
            yield Finding(
                document.file, "Secret", "is not encrypted", "encrypt it: sops --encrypt --in-place"
            )
    for profile in platform.profiles:
        for found in profile.of("Secret"):
            if "sops" not in found.data and found.owner:
                yield found.finding("", "is generated in plain text", "take it from sops")
