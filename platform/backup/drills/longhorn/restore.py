# ruff: noqa: INP001, T201 - a script of a pod: in no package, and what it prints is its log
"""Restores the canary volume's newest off-node copy and has its files compared with their sums.

Makes the volume that the static PersistentVolume drill-restored names, mounts it in a pod, and
takes the volume away again. The pod of a failed check stays until the next drill: read its log.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from kube import DrillError, call, remove, wait

LONGHORN = "/apis/longhorn.io/v1beta2/namespaces/longhorn-system"
HERE = "/api/v1/namespaces/restore-drill"
NAME = "drill-restored"
POD = f"{HERE}/pods/drill-longhorn-check"
VOLUME = f"{LONGHORN}/volumes/{NAME}"


def newest_backup() -> dict[str, Any]:
    """The status of the canary's newest finished copy."""
    claim = call("GET", f"{HERE}/persistentvolumeclaims/backup-canary")
    if claim is None or not claim["spec"].get("volumeName"):
        raise DrillError("claim backup-canary has no volume: did the job backup-canary ever run?")
    volume = claim["spec"]["volumeName"]
    listed = call("GET", f"{LONGHORN}/backups?labelSelector=backup-volume%3D{volume}")
    done = [
        item["status"]
        for item in (listed or {}).get("items", [])
        if item.get("status", {}).get("state") == "Completed"
    ]
    if not done:
        raise DrillError(f"no finished copy of volume {volume}: see the recurring backup-nightly")
    return max(done, key=lambda status: str(status["snapshotCreatedAt"]))


def restore(backup: dict[str, Any]) -> None:
    """Make the volume from the copy and wait until its data is there."""
    call(
        "POST",
        f"{LONGHORN}/volumes",
        {
            "apiVersion": "longhorn.io/v1beta2",
            "kind": "Volume",
            "metadata": {"name": NAME, "namespace": "longhorn-system"},
            "spec": {
                "fromBackup": backup["url"],
                "size": backup["volumeSize"],
                "numberOfReplicas": 1,
                "frontend": "blockdev",
                "accessMode": "rwo",
                "dataEngine": "v1",
                "backupTargetName": "default",
            },
        },
    )

    def restored() -> bool:
        status = (call("GET", VOLUME) or {}).get("status", {})
        return (
            bool(status.get("restoreInitiated"))
            and not status.get("restoreRequired")
            and status.get("state") == "detached"
        )

    wait("the volume is restored", restored)


def check_pod() -> dict[str, Any]:
    """The pod that mounts the restored volume and compares its files."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "drill-longhorn-check",
            "labels": {"app.kubernetes.io/name": "drill-longhorn-check"},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "priorityClassName": "batch",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "check",
                    "image": os.environ["IMAGE"],
                    "command": ["python3", "/scripts/canary.py", "check", "/restored"],
                    "resources": {
                        "requests": {"cpu": "20m", "memory": "64Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "restored", "mountPath": "/restored"},
                        {"name": "scripts", "mountPath": "/scripts"},
                    ],
                }
            ],
            "volumes": [
                {"name": "restored", "persistentVolumeClaim": {"claimName": NAME}},
                {"name": "scripts", "configMap": {"name": "drill-longhorn"}},
            ],
        },
    }


def check() -> None:
    """Run the pod that compares the files; it stays when they differ."""
    call("POST", f"{HERE}/pods", check_pod())
    ended: list[str] = []

    def over() -> bool:
        phase = str((call("GET", POD) or {}).get("status", {}).get("phase"))
        ended[:] = [phase] if phase in ("Succeeded", "Failed") else []
        return bool(ended)

    wait("the check is over", over, limit_s=1200.0)
    if ended != ["Succeeded"]:
        raise DrillError("the files differ from their sums: kubectl logs drill-longhorn-check")


def main() -> int:
    """1 when there is no copy, or its files are not what was written."""
    try:
        remove(POD)
        remove(VOLUME)
        backup = newest_backup()
        print(f"restoring {backup['url']} of {backup['snapshotCreatedAt']}")
        restore(backup)
        check()
        remove(POD)
        remove(VOLUME)
    except DrillError as error:
        print(f"drill-longhorn: {error}", file=sys.stderr)
        return 1
    print("the restored volume holds what was written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
