"""A test lane as Dagster sees it: the resource and the scope."""

from __future__ import annotations

from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from tests.support.lane import TestLane


def lakehouse_of(lane: TestLane, **variables: str) -> Lakehouse:
    """The lane's systems; ``variables`` are further IOT_* names."""
    names = {name: value for name, value in lane.env.items() if name.startswith("IOT_")}
    return Lakehouse(folder=str(lane.folder), variables={**names, **variables})


def scope_of(lane: TestLane) -> Scope:
    """The lane's part of the graph."""
    return Scope(lane.contract, str(lane.contract_file))
