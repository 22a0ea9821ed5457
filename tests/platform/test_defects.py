"""Fifteen mistakes of a real homelab platform, planted again: the gate stops each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.platform.case import FIXTURES, Case, cases, findings
from tests.platform.test_rules import NO_SCHEMAS

# Each mistake with the cases that plant it.
DEFECTS = {
    "01 credentials in plain text": [
        "secrets/in-values", "secrets/in-a-property", "secrets/not-encrypted",
        "secrets/not-promised", "secrets/in-a-variable",
    ],
    "02 a database open to the LAN": [
        "clickhouse/no-password", "clickhouse/from-anywhere", "clickhouse/metrics-on-the-lan",
    ],
    "03 no order, so that the start deadlocks": [
        "graph/resource-beside-its-kind", "graph/resource-before-its-kind", "graph/other-source",
        "graph/no-such-dependency",
    ],
    "04 half of the documented stack is not applied": [
        "tree/orphan", "tree/missing-file", "namespaces/undeclared", "tree/empty-profile",
    ],
    "05 storage classes drift apart": ["storage/other-class", "overview/other-figure"],
    "06 removed APIs": ["schemas/removed-api"],
    "07 observability switched off or pretended": [
        "monitors/unwatched", "charts/monitor-switched-off", "dashboards/fetched-by-number",
        "charts/selectors-of-helm", "charts/monitors-of-nothing", "alerts/component-without-alert",
    ],
    "08 a catalog that keeps its tables in memory": [
        "storage/catalog-in-memory", "storage/catalog-by-another-name",
    ],
    "09 memory that does not add up": [
        "memory/memory-store-above-limit", "memory/trino-heap", "memory/trino-query",
        "memory/heap-above-container", "budget/larger-than-the-node",
    ],
    "10 floating versions": ["versions/range", "versions/latest"],
    "11 configuration that nobody reads": [
        "clickhouse/server-in-the-operator", "schemas/dead-key", "ingresses/timeout-nobody-reads",
        "ingresses/backend-protocol",
    ],
    "12 no isolation": [
        "namespaces/open", "namespaces/no-pod-security", "namespaces/no-quota",
        "workloads/no-budget",
        "workloads/unranked", "charts/admin-api", "charts/ports-on-the-lan", "graph/cluster-admin",
        "workloads/no-readiness",
    ],
    "13 TLS for show": [
        "ingresses/plain-http-allowed", "ingresses/class-annotation",
        "ingresses/issuer-declared-twice", "charts/object-store-without-tls",
    ],
    "14 addresses drift and traffic makes detours": [
        "addresses/written-out", "addresses/former-prefix", "addresses/load-balancer-ip",
        "addresses/through-the-lan", "addresses/hidden-client",
    ],
    "15 backups that cannot restore": [
        "storage/backup-on-this-node", "storage/only-snapshots", "storage/no-backup",
        "charts/records-deleted",
    ],
}  # fmt: skip


def _named(name: str) -> Case:
    family, _, stem = name.partition("/")
    return next(case for case in cases(family) if case.path == FIXTURES / family / f"{stem}.yaml")


@pytest.mark.parametrize(
    ("defect", "name"),
    [(defect, name) for defect, names in DEFECTS.items() for name in names],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_planted_again_it_is_stopped(defect: str, name: str, tmp_path: Path) -> None:
    """The gate exits with findings, and they name the place."""
    case = _named(name)
    expect = case.expected()
    if not expect:
        pytest.skip(NO_SCHEMAS)

    said = [str(one) for one in findings(case.plant(tmp_path))]

    assert any(text in line for text in expect for line in said), (defect, said)


def test_all_fifteen_are_planted() -> None:
    """None is left out."""
    assert [defect[:2] for defect in DEFECTS] == [f"{number:02}" for number in range(1, 16)]
