"""ClickHouse: nobody without a password or from anywhere, nothing that the operator ignores."""

from __future__ import annotations

from collections.abc import Iterator

from tests.platform.gate.model import Finding, Resource, Tree, dig
from tests.platform.gate.platform import Platform
from tests.platform.gate.rules import rule

ANYWHERE = {"::/0", "0.0.0.0/0", "::/64"}


def _installations(platform: Platform) -> Iterator[Resource]:
    for profile in platform.profiles:
        yield from profile.of("ClickHouseInstallation")


@rule
def every_user_has_a_password_and_a_place(platform: Platform) -> Iterator[Finding]:
    """A user has a hash from a secret, and the networks that it comes from."""
    for found in _installations(platform):
        users: Tree = found.get("spec.configuration.users", {})
        for name in sorted({key.split("/")[0] for key in users}):
            fields = {key.partition("/")[2]: value for key, value in users.items()
                      if key.split("/")[0] == name}  # fmt: skip
            field = f"spec.configuration.users.{name}"
            if "password" in fields:
                yield found.finding(field, "has a literal password", "use password_sha256_hex")
            hashed = [
                value for key, value in fields.items()
                if key.startswith(("password_sha256_hex", "k8s_secret_password"))
            ]  # fmt: skip
            secret = any(
                dig(value, "valueFrom", "secretKeyRef") if isinstance(value, dict) else value
                for value in hashed
            )
            locked = "no_password" not in fields and name == "default" and not fields.get("grants")
            if not secret and not (locked and _local(fields)):
                yield found.finding(field, "has no password from a secret", "add valueFrom")
            networks = fields.get("networks/ip")
            if networks is None and "networks/host_regexp" not in fields:
                yield found.finding(field, "may come from anywhere", "set networks/ip")
            wide = ANYWHERE & set(networks if isinstance(networks, list) else [str(networks)])
            if wide:
                yield found.finding(
                    f"{field}/networks/ip", f"is {min(wide)}", "name pods, node or LAN"
                )


def _local(fields: Tree) -> bool:
    networks = fields.get("networks/ip") or []
    listed = networks if isinstance(networks, list) else [networks]
    return bool(listed) and all(str(one).startswith(("127.", "::1")) for one in listed)


@rule
def metrics_stay_off_the_lan(platform: Platform) -> Iterator[Finding]:
    """9363 tells everything about the tables; it is for Prometheus."""
    for profile in platform.profiles:
        services = [(found, found.data) for found in profile.of("Service")]
        for found in profile.of("ClickHouseInstallation"):
            services += [(found, one) for one in found.get("spec.templates.serviceTemplates") or []]
        for found, service in services:
            if dig(service, "spec", "type") != "LoadBalancer":
                continue
            for port in dig(service, "spec", "ports", default=[]):
                if port.get("port") in {9363, 9000} and port.get("port") == 9363:
                    yield found.finding("ports", "show 9363 on the LAN", "remove the port there")
            if dig(service, "spec", "externalTrafficPolicy") != "Local":
                yield found.finding(
                    "externalTrafficPolicy", "is not Local", "set it, networks/ip needs the client"
                )


@rule
def the_operator_is_given_nothing_else(platform: Platform) -> Iterator[Finding]:
    """The operator's chart has no server in it; such a block is ignored."""
    for profile in platform.profiles:
        release = profile.release("altinity-clickhouse-operator")
        if release is not None and "clickhouse" in release.values:
            yield release.finding(
                "values.clickhouse", "is ignored", "describe the server in ClickHouseInstallation"
            )
