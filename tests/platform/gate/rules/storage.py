"""Volumes on Longhorn, each store backed up, and no backup on the disk it protects."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.platform.gate.model import Finding, Resource, dig, leaves, nodes
from tests.platform.gate.platform import Platform, Profile
from tests.platform.gate.rules import rule

CLASS_KEYS = {"storageClassName", "storageClass"}
TARGET = re.compile(r"(?i)(backup|offnode|remote|target|destination)")
INSIDE = re.compile(r"\.svc\b|minio-tenant|//minio[.:/]|//s3\.(lab|home)|localhost|127\.0\.0\.1")


@rule
def volumes_are_on_longhorn(platform: Platform) -> Iterator[Finding]:
    """Another class has no snapshots and no backups."""
    for profile in platform.profiles:
        allowed = {"longhorn"}
        for found in profile.of("StorageClass"):
            if found.data.get("provisioner") == "driver.longhorn.io":
                allowed.add(found.name)
        for resource in profile.resources:
            for path, value in leaves(resource.data):
                named = path and path[-1] in CLASS_KEYS and isinstance(value, str)
                if named and value not in allowed:
                    yield resource.finding(
                        ".".join(path), f"is {value!r}", "use the class longhorn"
                    )
            yield from _unclassed(resource)


def _unclassed(resource: Resource) -> Iterator[Finding]:
    if resource.kind == "PersistentVolumeClaim" and not resource.get("spec.storageClassName"):
        yield resource.finding("spec.storageClassName", "is not set", "use the class longhorn")
    for field in ("spec.volumeClaimTemplates", "spec.templates.volumeClaimTemplates"):
        for claim in resource.get(field) or []:
            if not dig(claim, "spec", "storageClassName"):
                yield resource.finding(
                    f"{field}.storageClassName", "is not set", "use the class longhorn"
                )


@rule
def what_holds_data_survives_its_claim(platform: Platform) -> Iterator[Finding]:
    """ClickHouse's operator deletes volumes with their installation unless told otherwise."""
    for profile in platform.profiles:
        for found in profile.of("ClickHouseInstallation"):
            for claim in found.get("spec.templates.volumeClaimTemplates") or []:
                if claim.get("reclaimPolicy") != "Retain":
                    yield found.finding(
                        "spec.templates.volumeClaimTemplates.reclaimPolicy",
                        "is not Retain",
                        "set it to Retain",
                    )


@rule
def each_store_is_backed_up(platform: Platform) -> Iterator[Finding]:
    """Every store has the resource that backs it up, and the drill that restores it."""
    for profile in platform.profiles:
        known = {f"{found.kind}/{found.name}" for found in profile.resources}
        for store, needs in (platform.overview.get("stores") or {}).items():
            for need in needs:
                if need not in known:
                    yield Finding(
                        "backup",
                        store,
                        f"{need} does not exist in profile {profile.name}",
                        "add it, or mend tests/platform/overview.yaml when it is called otherwise",
                    )


@rule
def volumes_are_in_the_nightly_backup(platform: Platform) -> Iterator[Finding]:
    """A RecurringJob of task backup covers the default group, and there is somewhere to put it."""
    for profile in platform.profiles:
        if not profile.release("longhorn"):
            continue
        jobs = list(profile.of("RecurringJob"))
        nightly = [
            job
            for job in jobs
            if job.get("spec.task") == "backup" and "default" in (job.get("spec.groups") or [])
        ]
        if not nightly:
            yield Finding(
                "backup/longhorn",
                "RecurringJob",
                f"no backup of the default group in profile {profile.name}",
                "add task: backup, groups: [default]",
            )
        if not any(found.get("spec.backupTargetURL") for found in profile.of("BackupTarget")):
            yield Finding(
                "backup/longhorn", "BackupTarget", "there is none", "add one off this node"
            )


@rule
def backups_leave_the_node(platform: Platform) -> Iterator[Finding]:
    """A backup on the object store of this node is lost with the disk that it protects."""
    for profile in platform.profiles:
        inside = [v for k, v in profile.settings.items() if k in {"IP_S3", "NODE_IP"}]
        for resource in profile.resources:
            for field, value in _targets(resource):
                if INSIDE.search(value) or any(address in value for address in inside):
                    yield resource.finding(
                        field, f"{value} is on this node", "use ${BACKUP_S3_ENDPOINT}"
                    )
        endpoint = profile.settings.get("BACKUP_S3_ENDPOINT", "")
        if INSIDE.search(endpoint) or any(address in endpoint for address in inside):
            yield Finding(
                f"clusters/{profile.name}/cluster-settings.yaml",
                "data.BACKUP_S3_ENDPOINT",
                f"{endpoint} is on this node",
                "name a store on another machine",
            )
    for document in platform.sources.documents:
        if document.file.startswith("host/"):
            value = str(document.data.get("etcd-s3-endpoint", ""))
            if INSIDE.search(value):
                yield Finding(
                    document.file, "etcd-s3-endpoint", f"{value} is on this node", "use another"
                )


def _targets(resource: Resource) -> Iterator[tuple[str, str]]:
    if resource.kind == "BackupTarget":
        yield "spec.backupTargetURL", str(resource.get("spec.backupTargetURL", ""))
    elif resource.kind == "ObjectStore" and resource.group == "barmancloud.cnpg.io":
        for key in ("endpointURL", "destinationPath"):
            yield f"spec.configuration.{key}", str(resource.get(f"spec.configuration.{key}", ""))
    for path, node in nodes(resource.data):
        name, value = node.get("name"), node.get("value")
        if not isinstance(name, str) or not isinstance(value, str) or not TARGET.search(name):
            continue
        if name.upper().endswith(("ENDPOINT", "URL")):
            yield ".".join((*path, name)), value


@rule
def catalogs_outlive_their_pods(platform: Platform) -> Iterator[Finding]:
    """A catalog in memory, or on a folder of its pod, loses every table at a restart."""
    for profile in platform.profiles:
        for found in profile.of("Cluster"):
            if found.group == "postgresql.cnpg.io" and not found.get("spec.storage.size"):
                yield found.finding("spec.storage", "has no size", "give it a volume")
        release = profile.release("lakekeeper")
        if release is not None:
            for key in ("host_read", "host_write", "database"):
                if not release.get(f"externalDatabase.{key}"):
                    yield release.finding(
                        f"values.externalDatabase.{key}",
                        "is not set",
                        "name the catalog's Postgres",
                    )
        yield from _in_memory(profile)


def _in_memory(profile: Profile) -> Iterator[Finding]:
    for resource in profile.resources:
        for path, node in nodes(resource.data):
            name, value = str(node.get("name", "")), str(node.get("value", ""))
            if name.startswith(("CATALOG_JDBC", "CATALOG_URI")) and (
                name == "CATALOG_JDBC_URL" or "memory" in value
            ):
                yield resource.finding(
                    ".".join((*path, name)),
                    "leaves the catalog in memory",
                    "use a catalog with Postgres and its own setting for it",
                )
