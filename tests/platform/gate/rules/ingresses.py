"""Ingresses: the present class, TLS always, and only what the controller reads there."""

from __future__ import annotations

from collections.abc import Iterator

from tests.platform.gate.model import Finding, Resource
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule

PREFIXES = ("haproxy.org/", "haproxy.com/", "ingress.kubernetes.io/")
# Scope "Ingress" in documentation/annotations.md of haproxytech/kubernetes-ingress 3.2.
AT_INGRESS = {
    "auth-type", "auth-secret", "auth-realm", "deny-list", "allow-list", "check", "check-http",
    "check-interval", "cors-enable", "cors-allow-origin", "cors-allow-methods",
    "cors-allow-credentials", "cors-allow-headers", "cors-max-age", "backend-config-snippet",
    "src-ip-header", "forwarded-for", "load-balance", "path-rewrite", "pod-maxconn",
    "rate-limit-period", "rate-limit-status-code", "rate-limit-requests", "rate-limit-size",
    "rate-limit-whitelist", "request-capture", "request-capture-len", "request-set-header",
    "request-redirect", "request-redirect-code", "response-set-header", "send-proxy-protocol",
    "server-ca", "server-crt", "server-proto", "server-ssl", "set-host", "scale-server-slots",
    "ssl-passthrough", "ssl-redirect", "ssl-redirect-code", "ssl-redirect-port",
    "standalone-backend", "timeout-check", "timeout-server", "timeout-server-fin",
}  # fmt: skip


@rule
def classes_are_named_the_present_way(platform: Platform) -> Iterator[Finding]:
    """spec.ingressClassName; the annotation is deprecated."""
    for found in _ingresses(platform):
        if found.get("spec.ingressClassName") != "haproxy":
            yield found.finding("spec.ingressClassName", "is not haproxy", "set it")
        if "kubernetes.io/ingress.class" in found.annotations:
            yield found.finding(
                "annotations.kubernetes.io/ingress.class", "is deprecated", "use ingressClassName"
            )


@rule
def every_host_has_tls(platform: Platform) -> Iterator[Finding]:
    """No host without a certificate, none outside of our domains, and no way around HTTPS."""
    for profile in platform.profiles:
        domains = [profile.settings.get(key, "") for key in ("DOMAIN", "PRIVATE_DOMAIN")]
        for found in profile.of("Ingress"):
            hosts = {entry.get("host") for entry in found.get("spec.rules") or []}
            covered = {
                host for entry in found.get("spec.tls") or [] for host in entry.get("hosts") or []
            }
            for host in sorted(str(one) for one in hosts - covered):
                yield found.finding("spec.tls", f"does not cover {host}", "add the host there")
            for host in hosts:
                if not any(str(host).endswith(f".{domain}") for domain in domains if domain):
                    yield found.finding(
                        "spec.rules", f"{host} is outside of {domains}", "use ${PRIVATE_DOMAIN}"
                    )
            if found.annotations.get("haproxy.org/ssl-redirect") == "false":
                yield found.finding("annotations.haproxy.org/ssl-redirect", "is false", "remove it")
        yield from _issued(profile)


def _issued(profile: Profile) -> Iterator[Finding]:
    issuers = {found.name for found in profile.of("ClusterIssuer")}
    for found in profile.of("Ingress"):
        issuer = found.annotations.get("cert-manager.io/cluster-issuer")
        if issuer is not None and issuer not in issuers:
            yield found.finding(
                "annotations.cert-manager.io/cluster-issuer",
                f"{issuer} does not exist",
                f"use one of {', '.join(sorted(issuers))}",
            )
    for found in profile.of("Certificate"):
        reference = found.get("spec.issuerRef", {})
        names = {
            one.name
            for one in profile.of(str(reference.get("kind", "Issuer")))
            if one.kind == "ClusterIssuer" or one.namespace == found.namespace
        }
        if reference.get("name") not in names:
            yield found.finding(
                "spec.issuerRef", f"{reference.get('name')} does not exist", f"use one of {names}"
            )


@rule
def issuers_are_declared_once(platform: Platform) -> Iterator[Finding]:
    """Two declarations of one object fight for ever."""
    for profile in platform.profiles:
        seen: dict[tuple[str, str, str, str], Resource] = {}
        for found in profile.resources:
            key = (found.group, found.kind, found.namespace, found.name)
            other = seen.setdefault(key, found)
            if other is not found and other.owner != found.owner:
                yield found.finding(
                    "metadata.name",
                    f"is declared by {other.owner} and by {found.owner}",
                    "keep one of them",
                )


@rule
def annotations_are_read_at_this_place(platform: Platform) -> Iterator[Finding]:
    """HAProxy ignores what it does not know at an Ingress: timeouts of clients, for example."""
    for found in _ingresses(platform):
        for key in found.annotations:
            prefix = next((one for one in PREFIXES if key.startswith(one)), None)
            if prefix and key.removeprefix(prefix) not in AT_INGRESS:
                yield found.finding(
                    f"annotations.{key}",
                    "is not read at an Ingress",
                    "put it into controller.config of the HAProxy chart, or remove it",
                )


def _ingresses(platform: Platform) -> Iterator[Resource]:
    for profile in platform.profiles:
        yield from profile.of("Ingress")
