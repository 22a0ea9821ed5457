# ruff: noqa: INP001 - a folder that is run, in no package
"""Checks of every row of the endpoint table, from this machine: what answers, and what must not."""

from __future__ import annotations

import json
import ssl
from base64 import b64decode
from functools import partial
from typing import Any

import lan
from cluster import Cluster
from report import Check, CheckError

# Ports that belong to the cluster alone: NATS, its monitor, and the metrics of ClickHouse.
CLOSED = (("IP_CLICKHOUSE", 9363), ("IP_INGRESS", 1024), ("IP_INGRESS", 6060), ("IP_TRINO", 8080))
UNAUTHORIZED = 401


def trusted(cluster: Cluster) -> ssl.SSLContext:
    """TLS that trusts the internal CA beside what the system trusts."""
    found = json.loads(
        cluster.kubectl("get", "secret", "--namespace", "cert-manager", "internal-ca", "-o", "json")
    )
    context = lan.context(b64decode(found["data"]["tls.crt"]).decode())
    context.load_default_certs()
    return context


def answers(answer: lan.Answer, *, status: int = 200, holds: str = "") -> str:
    """The status that was expected, and the text."""
    if answer.status != status or holds not in answer.body:
        wanted = f"{status} with {holds!r}" if holds else str(status)
        raise CheckError(f"{answer.status} {answer.body[:80]!r}, expected {wanted}")
    return f"{answer.status} {holds}".strip()


def plain(cluster: Cluster, key: str, port: int, path: str, holds: str = "") -> str:
    """An HTTP endpoint on its own address."""
    return answers(lan.get(cluster.settings[key], port, path), holds=holds)


def minio(cluster: Cluster, key: str, port: int, path: str) -> str:
    """An HTTPS endpoint of MinIO, whose certificate the cluster's own CA signed."""
    tls = lan.context(cluster.authority)
    return answers(lan.get(cluster.settings[key], port, path, tls=tls))


def trino(cluster: Cluster) -> str:
    """Trino has started, and speaks TLS by the internal CA."""
    answer = lan.get(cluster.settings["IP_TRINO"], 8443, "/v1/info", tls=trusted(cluster))
    return answers(answer, holds='"starting":false')


def redirect(cluster: Cluster) -> str:
    """Plain HTTP at the ingress leads to HTTPS."""
    host = f"grafana.{cluster.settings['PRIVATE_DOMAIN']}"
    answer = lan.get(cluster.settings["IP_INGRESS"], 80, "/", host=host)
    if not answer.location.startswith("https://"):
        raise CheckError(f"{answer.status} to {answer.location!r}, expected a redirect to https://")
    return f"{answer.status} to {answer.location}"


def ingress(cluster: Cluster, item: dict[str, Any]) -> str:
    """A host of an Ingress answers over trusted TLS; one behind a password asks for it."""
    guarded = any(key.endswith("/auth-type") for key in item["metadata"].get("annotations", {}))
    tls, told = trusted(cluster), []
    for rule in item["spec"]["rules"]:
        path = rule["http"]["paths"][0].get("path") or "/"
        answer = lan.get(cluster.settings["IP_INGRESS"], 443, path, tls=tls, host=rule["host"])
        if guarded and answer.status != UNAUTHORIZED:
            raise CheckError(f"{rule['host']}: {answer.status} without a password, expected 401")
        if not guarded and answer.status >= 500:
            raise CheckError(f"{rule['host']}: {answer.status}, expected an answer of the service")
        told.append(f"{rule['host']} {answer.status}")
    return ", ".join(told)


def name_server(cluster: Cluster) -> str:
    """The LAN's DNS knows the private names, and asks the world for others."""
    server, wanted = cluster.settings["IP_DNS"], cluster.settings["IP_INGRESS"]
    name = f"grafana.{cluster.settings['PRIVATE_DOMAIN']}"
    if wanted not in (found := lan.resolve(server, name)):
        raise CheckError(f"{name} is {found}, expected {wanted}")
    if not lan.resolve(server, "example.com"):
        raise CheckError("example.com has no address, expected one of the upstream's")
    return f"{name} is {wanted}; names of the world too"


def checks(cluster: Cluster) -> list[Check]:
    """Every row of the endpoint table."""

    def at(name: str, look: Any, *arguments: Any) -> Check:
        return Check("endpoint", name, partial(look, cluster, *arguments))

    def port(key: str, number: int) -> Check:
        look = partial(_at_setting, cluster, lan.open_port, key, number)
        return Check("endpoint", f"{key}:{number}", look)

    ingresses = cluster.get("ingresses.networking.k8s.io")
    return [
        port("NODE_IP", 6443),
        at("HAProxy 80", redirect),
        *(at(f"Ingress {item['metadata']['name']}", ingress, item) for item in ingresses),
        at("Grafana 3000", plain, "IP_GRAFANA", 3000, "/api/health", '"database": "ok"'),
        at("MinIO S3 443", minio, "IP_S3", 443, "/minio/health/live"),
        at("MinIO console 9443", minio, "IP_S3_CONSOLE", 9443, "/"),
        at("Trino 8443", trino),
        at("Iceberg REST 8181", plain, "IP_CATALOG", 8181, "/health"),
        at("ClickHouse HTTP 8123", plain, "IP_CLICKHOUSE", 8123, "/ping", "Ok."),
        at("ClickHouse /play", plain, "IP_CLICKHOUSE", 8123, "/play", "<html"),
        at("ClickHouse /dashboard", plain, "IP_CLICKHOUSE", 8123, "/dashboard", "<html"),
        port("IP_CLICKHOUSE", 9000),
        at("DNS 53", name_server),
        *(
            Check(
                "endpoint",
                f"{key}:{number} closed",
                partial(_at_setting, cluster, lan.closed_port, key, number),
            )
            for key, number in CLOSED
        ),
    ]


def _at_setting(cluster: Cluster, look: Any, key: str, number: int) -> str:
    return str(look(cluster.settings[key], number))
