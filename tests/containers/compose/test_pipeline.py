"""The files of `make up` on real containers: who waits for whom, rights, limits, and the proof."""

from __future__ import annotations

import json
import re
from functools import partial

import pytest

from tests.containers.compose.project import Project
from tests.support.waiting import until

OURS = ("ingest-hot", "ingest-lake", "simulator")


@pytest.mark.timeout(1500)
def test_what_the_simulator_sends_is_proven(project: Project) -> None:
    """From nothing to the proof with the users, limits and read-only roots of the files."""
    project.up(*OURS)
    for service in OURS[:2]:
        until(partial(project.is_healthy, service), f"a healthy {service}", 180)

    project.call("stop", "simulator")
    said = project.call("logs", "--no-log-prefix", "simulator")
    sent = re.search(r"\(sequences 1 to (\d+)\)", said)
    assert sent is not None, said
    until(lambda: proven_upto(project) == int(sent[1]), "a proof of all that was sent", 180)
    assert project.ingest("doctor").endswith("all is well\n")

    project.call("stop", *OURS[:2])
    for service, found in project.states().items():
        state = found["State"]
        assert not state["OOMKilled"], service
        assert found["RestartCount"] == 0, service
        assert state["Running"] or state["ExitCode"] == 0, (service, state)


def proven_upto(project: Project) -> int | None:
    """The last sequence of the proof, None while there is none."""
    told = project.ingest("verify", "--full", "--output=json", check=False)
    report = json.loads(told) if told.startswith("{") else {}
    found = re.findall(r"\b1-(\d+) of epoch", report.get("verdict", ""))
    return int(found[-1]) if found and report["proven"] else None
