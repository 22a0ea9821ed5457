# ruff: noqa: INP001, T201 - a script of a pod: in no package, and what it prints is its log
"""Makes a cluster from a database's off-node copy, or takes it away: `cluster.py make|take`.

NAME is the database that was copied, SERVER its name among the copies, IMAGE its server's image,
DATABASE and OWNER what is in it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from kube import DrillError, call, remove, wait

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/restore-drill/clusters"
VERDICT = Path("/result/verdict")


def cluster(name: str) -> dict[str, Any]:
    """A single small server that recovers from the newest copy and its log."""
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": f"drill-{name}", "namespace": "restore-drill"},
        "spec": {
            "instances": 1,
            "imageName": os.environ["IMAGE"],
            "priorityClassName": "batch",
            "storage": {"size": os.environ["STORAGE"], "storageClass": "longhorn"},
            "resources": {
                "requests": {"cpu": "100m", "memory": "256Mi"},
                "limits": {"memory": "512Mi"},
            },
            "inheritedMetadata": {"labels": {"platform/offnode": "reader"}},
            "bootstrap": {
                "recovery": {
                    "source": "origin",
                    "database": os.environ["DATABASE"],
                    "owner": os.environ["OWNER"],
                }
            },
            "externalClusters": [
                {
                    "name": "origin",
                    "plugin": {
                        "name": "barman-cloud.cloudnative-pg.io",
                        "parameters": {
                            "barmanObjectName": f"{name}-backup",
                            "serverName": os.environ["SERVER"],
                        },
                    },
                }
            ],
        },
    }


def make(name: str) -> int:
    """Make the cluster, and wait until its server answers."""
    path = f"{CLUSTERS}/drill-{name}"
    remove(path)
    call("POST", CLUSTERS, cluster(name))

    def ready() -> bool:
        return (call("GET", path) or {}).get("status", {}).get("readyInstances") == 1

    wait(f"cluster drill-{name} is ready", ready, limit_s=5400.0)
    print(f"cluster drill-{name} is recovered")
    return 0


def take(name: str) -> int:
    """Take the cluster away; the exit code is the check's verdict."""
    remove(f"{CLUSTERS}/drill-{name}")
    return int(VERDICT.read_text(encoding="utf-8"))


def main() -> int:
    """Make or take, by the first argument."""
    try:
        return {"make": make, "take": take}[sys.argv[1]](os.environ["NAME"])
    except DrillError as error:
        print(f"drill {os.environ['NAME']}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
