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
JOB = "verify"
CATALOGS = ("iceberg", "memory", "tpch", "tpcds")


def secret(cluster: Cluster, namespace: str, name: str, key: str) -> str:
    """One value of a Secret; it goes to a pod by its standard input, never by an argument."""
    text = cluster.kubectl("get", "secret", name, "--namespace", namespace, "--output", "json")
    return b64decode(json.loads(text)["data"][key]).decode()


def toolbox(cluster: Cluster) -> str:
    """A pod with the owner's rights over stream and sinks, made for this run."""
    remove_toolbox(cluster)
    cluster.kubectl("create", "job", JOB, "--namespace", "ingest", "--from=cronjob/ingest-toolbox")
    cluster.kubectl(
        "wait",
        "pod",
        "--namespace",
        "ingest",
        "--selector",
        f"batch.kubernetes.io/job-name={JOB}",
        "--for=condition=Ready",
        "--timeout=5m",
    )
    return "ready"


def remove_toolbox(cluster: Cluster) -> str:
    """Take the pod away again."""
    cluster.kubectl("delete", "job", JOB, "--namespace", "ingest", "--ignore-not-found")
    return "removed"


def probe(cluster: Cluster, name: str, *lines: str) -> str:
    """Run a small program of ours in the toolbox; the lines reach it as its first input."""
    script = (PROBES / f"{name}.py").read_text(encoding="utf-8")
    fed = "".join(f"{line}\n" for line in lines)
    said = cluster.inside("ingest", f"job/{JOB}", "python3", "-c", script, stdin=fed)
    return said.strip().splitlines()[-1]


def doctor(cluster: Cluster) -> str:
    """Every connection, version and right is as ingest needs it."""
    said = cluster.inside("ingest", f"job/{JOB}", "ingest", "doctor").strip().splitlines()
    return f"{len(said)} lines, no problem"


def nats(cluster: Cluster) -> str:
    """A message goes into a stream of its own and comes back."""
    password = secret(cluster, "nats", "nats-users", "admin-password")
    return probe(cluster, "nats_round_trip", password)


def clickhouse(cluster: Cluster) -> str:
    """The hot table can be read."""
    return probe(cluster, "clickhouse_select")


def s3(cluster: Cluster) -> str:
    """An object goes into the lake's bucket, comes back, and is removed."""
    return probe(cluster, "s3_round_trip")


def catalog(cluster: Cluster) -> str:
    """The catalog gives its configuration for the warehouse, and lists the table."""
    return probe(cluster, "catalog_config")


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
    text = cluster.inside("ingest", f"job/{JOB}", "ingest", "verify", "--output", "json")
    verdict = json.loads(text)
    if not verdict:
        raise CheckError("ingest verify said nothing, expected a verdict")
    return "stream, ClickHouse, Iceberg and dead letters agree"


def checks(cluster: Cluster) -> list[Check]:
    """Every store, each alone; and at the end the proof over all."""
    return [
        Check("store", "toolbox", partial(toolbox, cluster)),
        Check("store", "NATS publish and read back", partial(nats, cluster)),
        Check("store", "ClickHouse SELECT", partial(clickhouse, cluster)),
        Check("store", "S3 put and get", partial(s3, cluster)),
        Check("store", "catalog config", partial(catalog, cluster)),
        *(Check("store", f"Trino {name}", partial(trino, cluster, name)) for name in CATALOGS),
        Check("store", "ingest doctor", partial(doctor, cluster)),
        Check("proof", "ingest verify", partial(proof, cluster)),
        Check("store", "toolbox away", partial(remove_toolbox, cluster)),
    ]
