# ruff: noqa: INP001 - a folder that is run, in no package
"""Checks that each store keeps what it is given, and the proof that the sinks agree."""

from __future__ import annotations

import json
from base64 import b64decode
from functools import partial
from pathlib import Path

from cluster import Cluster
from report import Check, CheckError

PROBES = Path(__file__).parent / "probes"
HOT, LAKE = "pod/ingest-hot-0", "pod/ingest-lake-0"
CATALOGS = ("iceberg", "memory", "tpch", "tpcds")


def secret(cluster: Cluster, namespace: str, name: str, key: str) -> str:
    """One value of a Secret; it goes to a pod by its standard input, never by an argument."""
    text = cluster.kubectl("get", "secret", name, "--namespace", namespace, "--output", "json")
    return b64decode(json.loads(text)["data"][key]).decode()


def probe(cluster: Cluster, pod: str, name: str, *lines: str) -> str:
    """Run a small program of ours in a pod of ingest; the lines reach it as its first input."""
    script = (PROBES / f"{name}.py").read_text(encoding="utf-8")
    fed = "".join(f"{line}\n" for line in lines)
    said = cluster.inside("ingest", pod, "python3", "-c", script, stdin=fed)
    return said.strip().splitlines()[-1]


def doctor(cluster: Cluster, pod: str) -> str:
    """Every connection, version and right of a writer is as it needs it."""
    said = cluster.inside("ingest", pod, "ingest", "doctor").strip().splitlines()
    return f"{len(said)} lines, no problem"


def nats(cluster: Cluster) -> str:
    """A message goes into a stream of its own and comes back."""
    password = secret(cluster, "nats", "nats-users", "admin-password")
    return probe(cluster, HOT, "nats_round_trip", password)


def clickhouse(cluster: Cluster) -> str:
    """The hot table can be read."""
    return probe(cluster, HOT, "clickhouse_select")


def s3(cluster: Cluster) -> str:
    """An object goes into the lake's bucket, comes back, and is removed."""
    return probe(cluster, LAKE, "s3_round_trip")


def catalog(cluster: Cluster) -> str:
    """The catalog gives its configuration for the warehouse, and lists the table."""
    return probe(cluster, LAKE, "catalog_config")


def trino(cluster: Cluster, name: str) -> str:
    """A SELECT from one catalog of Trino, through its port for clients."""
    said = cluster.inside(
        "dagster",
        "deployment/dagster-code",
        "python3",
        "-c",
        (PROBES / "trino_select.py").read_text(encoding="utf-8"),
        name,
    )
    return said.strip().splitlines()[-1]


def proof(cluster: Cluster) -> str:
    """Stream, ClickHouse, Iceberg and the dead letters hold the same."""
    text = cluster.inside("ingest", LAKE, "ingest", "verify", "--output", "json")
    verdict = json.loads(text)
    if not verdict:
        raise CheckError("ingest verify said nothing, expected a verdict")
    return "stream, ClickHouse, Iceberg and dead letters agree"


def checks(cluster: Cluster) -> list[Check]:
    """Every store, each alone; and at the end the proof over all."""
    return [
        Check("store", "NATS publish and read back", partial(nats, cluster)),
        Check("store", "ClickHouse SELECT", partial(clickhouse, cluster)),
        Check("store", "S3 put and get", partial(s3, cluster)),
        Check("store", "catalog config", partial(catalog, cluster)),
        *(Check("store", f"Trino {name}", partial(trino, cluster, name)) for name in CATALOGS),
        Check("store", "ingest doctor, hot", partial(doctor, cluster, HOT)),
        Check("store", "ingest doctor, lake", partial(doctor, cluster, LAKE)),
        Check("proof", "ingest verify", partial(proof, cluster)),
    ]
