"""The models' steps and the product's code: each has its counterpart."""

from __future__ import annotations

import importlib

import pytest

from ingest.fault_points import FaultPoint
from tests.model import hot, hot_store, lake, lake_commit
from tests.model.places import HOT, LAKE, Place


def test_every_step_of_the_hot_model_has_its_place() -> None:
    """Neither a step without its function, nor a function for a step that is not there."""
    flying = {"ready", "ready again", "sent", "sent again", "landed", "landed again", "done"}
    steps = set(hot.PROGRAM) | set(hot_store.STEPS) | flying
    assert {place.step for place in HOT} == steps


def test_every_step_of_the_lake_model_has_its_place() -> None:
    """Neither a step without its function, nor a function for a step that is not there."""
    assert {place.step for place in LAKE} == set(lake.PROGRAM) | set(lake_commit.STEPS)


@pytest.mark.parametrize("place", [*HOT, *LAKE], ids=lambda place: f"{place.step}-{place.function}")
def test_the_named_function_exists(place: Place) -> None:
    """A function that is renamed must be renamed here too."""
    module, *names = _split(place.function)
    found: object = importlib.import_module(module)
    for name in names:
        found = getattr(found, name)
    assert callable(found)


def test_every_fault_point_has_its_place_in_the_model() -> None:
    """And the models name no fault point that the product has not."""
    named = {point for place in (*HOT, *LAKE) for point in place.fault_points}
    assert named == {point.value for point in FaultPoint}


@pytest.mark.parametrize(("path", "places"), [("hot", HOT), ("lake", LAKE)])
def test_fault_points_lie_on_their_own_path(path: str, places: tuple[Place, ...]) -> None:
    """A path's own points are in its model alone, the dead letters' in both."""
    named = {point for place in places for point in place.fault_points}
    own = {point.value for point in FaultPoint if point.value.partition(".")[0] in (path, "dlq")}
    assert named == own


def _split(function: str) -> list[str]:
    """``sinks.iceberg.IcebergSink.send`` as module ``ingest.sinks.iceberg`` and names."""
    parts = function.split(".")
    count = 2 if parts[0] == "sinks" else 1
    return [".".join(["ingest", *parts[:count]]), *parts[count:]]
