# ruff: noqa: INP001 - a folder that is run, in no package
"""Checks of the copies: how old the newest of each store is, and when each last came back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from cluster import Cluster, full_name, moment, none_of
from report import Check, CheckError

DAILY, MONTHLY = timedelta(hours=26), timedelta(days=35)
LIMITS = {"backup-etcd": timedelta(hours=8)}
NAMESPACES = ("clickhouse", "nats", "restore-drill")


def job(cluster: Cluster, namespace: str, name: str) -> str:
    """The last success of a CronJob is not too old."""
    limit = LIMITS.get(name, MONTHLY if name.startswith("drill-") else DAILY)
    found = [
        item
        for item in cluster.get("cronjobs", namespace=namespace)
        if item["metadata"]["name"] == name
    ]
    if not found:
        raise CheckError("no such CronJob: is Kustomization backup-drills applied?")
    last = found[0].get("status", {}).get("lastSuccessfulTime")
    if last is None:
        made = moment(found[0]["metadata"]["creationTimestamp"])
        if datetime.now(UTC) - made < limit:
            return f"not yet due: made {made:%Y-%m-%d %H:%M}Z"
        raise CheckError(f"never succeeded: see runbook/alerts.md, then run it by hand ({name})")
    age = datetime.now(UTC) - moment(last)
    if age > limit:
        raise CheckError(f"last success {age} ago, expected at most {limit}")
    return f"last success {age} ago"


def target(cluster: Cluster) -> str:
    """Longhorn reaches the place of its copies."""
    bad = []
    for item in cluster.get("backuptargets.longhorn.io", namespace="longhorn-system"):
        if not item["spec"].get("backupTargetURL"):
            bad.append(f"{item['metadata']['name']} has no address: see LONGHORN_BACKUP_TARGET")
        elif not item.get("status", {}).get("available"):
            bad.append(f"{item['metadata']['name']} is not available")
    return none_of(bad, "available")


def volumes(cluster: Cluster) -> str:
    """Each Longhorn volume that is older than a day has a copy of the last night."""
    bad, count = [], 0
    for item in cluster.get("volumes.longhorn.io", namespace="longhorn-system"):
        labels = item["metadata"].get("labels", {})
        groups = labels.get("recurring-job-group.longhorn.io/default")
        if (
            groups != "enabled"
            or datetime.now(UTC) - moment(item["metadata"]["creationTimestamp"]) < DAILY
        ):
            continue
        count += 1
        last = item["status"].get("lastBackupAt")
        if not last or datetime.now(UTC) - moment(last) > DAILY:
            bad.append(f"{item['metadata']['name']}: last copy {last or 'never'}")
    return none_of(bad, f"{count} volumes copied within {DAILY}")


def databases(cluster: Cluster) -> str:
    """Each Postgres cluster outside the drills has a finished copy of the last day."""
    newest: dict[str, datetime] = {}
    for item in cluster.get("backups.postgresql.cnpg.io"):
        status = item.get("status", {})
        if status.get("phase") == "completed" and status.get("stoppedAt"):
            name = f"{item['metadata']['namespace']}/{item['spec']['cluster']['name']}"
            newest[name] = max(
                newest.get(name, datetime.min.replace(tzinfo=UTC)), moment(status["stoppedAt"])
            )
    bad, count = [], 0
    for item in cluster.get("clusters.postgresql.cnpg.io"):
        if item["metadata"]["namespace"] == "restore-drill":
            continue
        count += 1
        last = newest.get(full_name(item))
        if last is None or datetime.now(UTC) - last > DAILY:
            bad.append(f"{full_name(item)}: last copy {last or 'never'}")
    return none_of(bad, f"{count} databases copied within {DAILY}")


def checks(cluster: Cluster) -> list[Check]:
    """The age of every copy and of every drill."""
    jobs = [
        (namespace, item["metadata"]["name"])
        for namespace in NAMESPACES
        for item in cluster.get("cronjobs", namespace=namespace)
        if item["metadata"]["name"].startswith(("backup-", "drill-"))
    ]
    return [
        Check("backup", "Longhorn target", partial(target, cluster)),
        Check("backup", "Longhorn volumes", partial(volumes, cluster)),
        Check("backup", "Postgres", partial(databases, cluster)),
        *(Check("backup", name, partial(job, cluster, place, name)) for place, name in jobs),
    ]
