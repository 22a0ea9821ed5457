"""Memory and disk arithmetic: what a program may use fits into what it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.platform.gate.helm import Release
from tests.platform.gate.model import Finding, dig
from tests.platform.gate.platform import Platform, Profile, opt_in_files
from tests.platform.gate.quantities import binary_bytes, kubernetes_bytes, shown
from tests.platform.gate.rules import rule


@rule
def nats_fits(platform: Platform) -> Iterator[Finding]:
    """Memory store < GOMEMLIMIT < limit; file store < volume; streams within the file store."""
    # Who switches a lane on makes room for its stream first: then it is counted.
    off = {Path(name).stem for name in opt_in_files(platform.root)}
    for profile in platform.profiles:
        release = profile.release("nats")
        if release is None:
            continue
        store = binary_bytes(release.get("config.jetstream.memoryStore.maxSize", 0))
        gc_limit = binary_bytes(release.get("container.env.GOMEMLIMIT", 0))
        limit = kubernetes_bytes(release.get("container.merge.resources.limits.memory", 0))
        if not store < gc_limit < limit:
            yield release.finding(
                "values.container",
                f"memory store {shown(store)}, GOMEMLIMIT {shown(gc_limit)}, limit {shown(limit)} "
                "do not rise",
                "keep memoryStore.maxSize < GOMEMLIMIT < resources.limits.memory",
            )
        files = binary_bytes(release.get("config.jetstream.fileStore.maxSize", 0))
        volume = kubernetes_bytes(release.get("config.jetstream.fileStore.pvc.size", 0))
        if not 0 < files < volume:
            yield release.finding(
                "values.config.jetstream.fileStore",
                f"may hold {shown(files)} on a volume of {shown(volume)}",
                "set maxSize below pvc.size",
            )
        yield from _streams(profile, release, files, off)


def _streams(profile: Profile, release: Release, files: float, off: set[str]) -> Iterator[Finding]:
    total = 0.0
    for stream in profile.of("Stream", "KeyValue"):
        if stream.owner in off or stream.get("spec.storage", "file") != "file":
            continue
        most = stream.get("spec.maxBytes")
        # A key-value bucket keeps a few records, and ingest makes it without a limit.
        bucket = str(stream.get("spec.name", "")).startswith("KV_") or stream.kind == "KeyValue"
        if bucket and not most:
            continue
        if not most or int(most) <= 0:
            yield stream.finding("spec.maxBytes", "has no limit", "set it")
        else:
            total += float(most)
    if total > files:
        yield release.finding(
            "values.config.jetstream.fileStore.maxSize",
            f"{shown(files)} is less than the streams' {shown(total)}",
            "raise it or lower spec.maxBytes of the streams",
        )


@rule
def trino_fits(platform: Platform) -> Iterator[Finding]:
    """Heap <= 80 % of the limit; query and headroom fit into the heap; totals are reachable."""
    for profile in platform.profiles:
        release = profile.release("trino")
        if release is None:
            continue
        workers = int(release.get("server.workers", 2))
        roles = ["coordinator", *(["worker"] if workers else [])]
        per_node: dict[str, float] = {}
        for role in roles:
            heap = binary_bytes(release.get(f"{role}.jvm.maxHeapSize", "8G"))
            limit = kubernetes_bytes(release.get(f"{role}.resources.limits.memory", 0))
            query = binary_bytes(release.get(f"{role}.config.query.maxMemoryPerNode", "1GB"))
            room = binary_bytes(release.get(f"{role}.config.memory.heapHeadroomPerNode", "0"))
            per_node[role] = query
            if heap > 0.8 * limit:
                yield release.finding(
                    f"values.{role}.jvm.maxHeapSize",
                    f"{shown(heap)} is more than 80 % of the limit {shown(limit)}",
                    "lower the heap or raise resources.limits.memory",
                )
            if query + room > heap:
                yield release.finding(
                    f"values.{role}.config.query.maxMemoryPerNode",
                    f"{shown(query)} and the headroom {shown(room)} exceed the heap {shown(heap)}",
                    "lower one of them",
                )
        most = binary_bytes(release.get("server.config.query.maxMemory", "4GB"))
        reachable = per_node["worker"] * workers if workers else per_node["coordinator"]
        if most > reachable:
            yield release.finding(
                "values.server.config.query.maxMemory",
                f"{shown(most)} can never be reached with {shown(reachable)}",
                "set it to the sum over the nodes that work",
            )


@rule
def clickhouse_fits(platform: Platform) -> Iterator[Finding]:
    """A query may use less than the container has, and the server knows its end."""
    for profile in platform.profiles:
        for found in profile.of("ClickHouseInstallation"):
            container = dig(
                found.data, "spec", "templates", "podTemplates", 0, "spec", "containers", 0
            )
            limit = kubernetes_bytes(dig(container, "resources", "limits", "memory", default=0))
            settings = found.get("spec.configuration.settings", {})
            profiles = found.get("spec.configuration.profiles", {})
            caps = {k: v for k, v in profiles.items() if k.endswith("/max_memory_usage")}
            if not caps:
                yield found.finding(
                    "spec.configuration.profiles", "lack max_memory_usage", "set it per profile"
                )
            for key, value in caps.items():
                if float(value) >= limit:
                    yield found.finding(
                        f"spec.configuration.profiles.{key}",
                        f"{shown(float(value))} is not below the limit {shown(limit)}",
                        "lower it",
                    )
            ratio = settings.get("max_server_memory_usage_to_ram_ratio")
            most = settings.get("max_server_memory_usage")
            if ratio is None and most is None:
                yield found.finding(
                    "spec.configuration.settings",
                    "do not limit the server's memory",
                    "set max_server_memory_usage_to_ram_ratio below 1",
                )
            if (ratio and float(ratio) >= 1) or (most and float(most) >= limit):
                yield found.finding(
                    "spec.configuration.settings", "let the server use all memory", "lower it"
                )


@rule
def prometheus_fits(platform: Platform) -> Iterator[Finding]:
    """Prometheus drops old blocks before its volume is full."""
    for profile in platform.profiles:
        release = profile.release("kube-prometheus-stack")
        if release is None:
            continue
        base = "prometheus.prometheusSpec"
        most = release.get(f"{base}.retentionSize")
        claim = release.get(
            f"{base}.storageSpec.volumeClaimTemplate.spec.resources.requests.storage"
        )
        if not most or not claim:
            yield release.finding(
                f"values.{base}", "lacks retentionSize or storageSpec", "set both"
            )
        elif binary_bytes(most) >= 0.95 * kubernetes_bytes(claim):
            yield release.finding(
                f"values.{base}.retentionSize", f"{most} fills the volume of {claim}", "lower it"
            )


@rule
def java_of_ours_fits(platform: Platform) -> Iterator[Finding]:
    """An -Xmx written in a manifest is at most 80 % of its container's limit."""
    from tests.platform.gate.containers import pods

    for profile in platform.profiles:
        for found in pods(profile):
            for container in found.containers():
                limit = dig(container, "resources", "limits", "memory")
                for heap in re.findall(r"-Xmx(\d+[kKmMgG])", str(container)):
                    if limit and binary_bytes(heap) > 0.8 * kubernetes_bytes(limit):
                        yield found.finding(
                            f"container {container.get('name')}",
                            f"-Xmx{heap} is more than 80 % of {limit}",
                            "lower the heap",
                        )
