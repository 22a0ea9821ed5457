"""The profile `orchestration` on real containers: Dagster with its database, without Trino."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.containers.compose.project import Project
from tests.support.waiting import until

DAGSTER = ("dagster-code", "dagster-daemon", "dagster-webserver")
QUESTION = """
import json, urllib.request
query = '''{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } }
  instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } } }'''
asked = urllib.request.Request(
    "http://127.0.0.1:3000/graphql", json.dumps({"query": query}).encode(),
    {"Content-Type": "application/json"})
print(urllib.request.urlopen(asked, timeout=60).read().decode())
"""


@pytest.mark.timeout(1500)
def test_dagster_runs_on_its_database(project: Project) -> None:
    """Code location, webserver and daemons know each other by Postgres; all end in order."""
    project.up(*DAGSTER)
    for service in ("dagster-code", "dagster-webserver"):
        until(partial(project.is_healthy, service), f"a healthy {service}", 180)
    until(lambda: daemons_are_well(project), "daemons whose heartbeats are in Postgres", 180)

    project.call("stop", *DAGSTER)
    for service, found in project.states().items():
        state = found["State"]
        assert not state["OOMKilled"], service
        assert found["RestartCount"] == 0, service
        assert state["Running"] or state["ExitCode"] == 0, (service, state)


def daemons_are_well(project: Project) -> bool:
    """What the webserver tells of the daemons, once the code location is loaded."""
    told = project.call("exec", "--no-TTY", "dagster-webserver", "python", "-c", QUESTION)
    data = json.loads(told)["data"]
    assert [one["name"] for one in data["workspaceOrError"]["locationEntries"]] == ["iot"]
    daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(one["healthy"] for one in daemons if one["required"])
