"""The whole code location as one readable page, held by a snapshot beside this file.

``UPDATE_SNAPSHOTS=1 pytest tests/unit/pipelines/test_code_location.py`` writes it again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest.contract import packaged_contracts
from ingest.settings import Settings
from pipelines.definitions import defs, location
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import scopes

SNAPSHOT = Path(__file__).with_name("code_location.txt")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Loading may not open a connection, and reads no settings of the folder it runs in."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("loading the code location opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)


def repository(contracts: str = "readings,weather") -> dg.RepositoryDefinition:
    """The code location of these contracts."""
    found = location(scopes(Settings(), contracts), Lakehouse())
    dg.Definitions.validate_loadable(found)
    return found.get_repository_def()


def page(found: dg.RepositoryDefinition) -> str:
    """Everything that a user sees, one thing a line."""
    sections = {
        "assets": _assets(found),
        "checks": _checks(found),
        "jobs": _jobs(found),
        "schedules": _schedules(found),
        "sensors": _sensors(found),
    }
    return "\n".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())


def test_the_code_location_is_the_snapshot() -> None:
    """Keys, kinds, groups, owners, pools, dependencies, checks, jobs, crons and sensors."""
    told = page(repository())
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(told, encoding="utf-8")
    assert told == SNAPSHOT.read_text(encoding="utf-8")


def test_it_loads_for_every_packaged_contract_together() -> None:
    """No two contracts make a name twice."""
    found = repository(",".join(packaged_contracts()))
    names = [one.name for one in (*found.sensor_defs, *found.schedule_defs)]
    assert len(names) == len(set(names))


def test_it_loads_with_settings_that_point_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses are not looked up while loading; a wrong one shows when something runs."""
    for name in ("NATS__URL", "CLICKHOUSE__URL", "CATALOG__URI", "S3__ENDPOINT", "TRINO__URL"):
        monkeypatch.setenv(f"IOT_{name}", "http://nobody@host.invalid:1")
    assert defs().get_repository_def().asset_graph.get_all_asset_keys()


def test_what_runs_by_itself_is_switched_on() -> None:
    """Every sensor and schedule starts as running, or a new user sees nothing happen."""
    found = repository()
    for sensor in found.sensor_defs:
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING, sensor.name
    for schedule in found.schedule_defs:
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING, schedule.name


def test_every_asset_has_an_owner_a_kind_a_group_and_a_description() -> None:
    """What stands on the asset's page is there."""
    graph = repository().asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name not in (None, "default"), key
        assert node.description, key


def _assets(found: dg.RepositoryDefinition) -> Iterator[str]:
    graph = found.asset_graph
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        facts = [
            "/".join(key.path),
            "run" if node.is_executable else "watched",
            f"group {node.group_name}",
            f"kinds {', '.join(sorted(node.kinds))}",
            f"owners {', '.join(node.owners)}",
        ]
        if node.pools:
            facts.append(f"pool {', '.join(sorted(node.pools))}")
        if node.partitions_def is not None:
            facts.append("a partition a day")
        if node.freshness_policy is not None:
            facts.append("freshness")
        if node.automation_condition is not None:
            facts.append(f"automation {node.automation_condition.get_label() or 'condition'}")
        yield " | ".join(facts)
        for parent in sorted(node.parent_keys):
            yield f"    <- {'/'.join(parent.path)}"


def _checks(found: dg.RepositoryDefinition) -> Iterator[str]:
    graph = found.asset_graph
    for key in sorted(graph.asset_check_keys, key=lambda one: (one.asset_key, one.name)):
        node = graph.get(key)
        blocking = " | blocking" if node.blocking else ""
        yield f"{'/'.join(key.asset_key.path)} : {key.name}{blocking}"


def _jobs(found: dg.RepositoryDefinition) -> Iterator[str]:
    for job in sorted(found.get_all_jobs(), key=lambda one: one.name):
        if job.name.startswith("__"):
            continue
        tags = ", ".join(f"{k}={v}" for k, v in sorted(job.tags.items()))
        yield f"{job.name}{f' | {tags}' if tags else ''}"


def _schedules(found: dg.RepositoryDefinition) -> Iterator[str]:
    for one in sorted(found.schedule_defs, key=lambda one: one.name):
        zone = one.execution_timezone
        yield f"{one.name} | {one.cron_schedule} {zone} | {one.job_name} | {_status(one)}"


def _sensors(found: dg.RepositoryDefinition) -> Iterator[str]:
    for one in sorted(found.sensor_defs, key=lambda one: one.name):
        try:
            jobs = ", ".join(sorted(target.name for target in one.jobs))
        except dg.DagsterInvalidDefinitionError:
            jobs = ""
        every = one.minimum_interval_seconds
        yield f"{one.name} | every {every} s | {jobs or 'no job'} | {_status(one)}"


def _status(one: dg.SensorDefinition | dg.ScheduleDefinition) -> str:
    return str(one.default_status.value).lower()
