"""A reconciliation of several lanes in Dagster's pages: red when one lane is, figures by lane."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from pipelines.lanes import keyed, named
from pipelines.reconcile_lanes import ReconciledLane, ReconciledLanes
from pipelines.report import proof
from pipelines.report.tables import markdown_table

_OF_A_LANE = {"proven_upto", "closed_upto", "messages_per_s"}
"""Figures that mean nothing when they are added up."""


def metadata(all_lanes: ReconciledLanes) -> dict[str, dg.MetadataValue]:
    """What the page shows: of several lanes the sums, and each lane's own under its name."""
    single = all_lanes.single
    if single is not None:
        return proof.metadata(single.done, single.found)
    by_lane = {one.lane: proof.metadata(one.done, one.found) for one in all_lanes.compared}
    listed = _sums(all_lanes.compared)
    listed["lanes"] = markdown_table(
        ("lane", "verdict"),
        [
            *((one.lane, one.done.report.verdict()) for one in all_lanes.compared),
            *((lane, f"not compared: {why}") for lane, why in all_lanes.passed_over.items()),
        ],
    )
    return listed | keyed(by_lane)


def check_results(
    all_lanes: ReconciledLanes, key: dg.AssetKey, sides: Iterable[str]
) -> list[dg.AssetCheckResult]:
    """The verdict of each of the sides; a red one names lane, sequences, place and time."""
    sides = list(sides)
    by_lane = {
        one.lane: proof.check_results(one.done, one.found, key, sides) for one in all_lanes.compared
    }
    if all_lanes.single is not None:
        return by_lane[all_lanes.single.lane]
    return [
        _together(dict(zip(by_lane, same_side, strict=True)), all_lanes.passed_over)
        for same_side in zip(*by_lane.values(), strict=True)
    ]


def _sums(compared: Iterable[ReconciledLane]) -> dict[str, dg.MetadataValue]:
    """Figures over all lanes: the worst of the hot path's, the sums of the others."""
    found: proof.Figures = {}
    for one in compared:
        for name, value in proof.figures(one.done).items():
            if name in _OF_A_LANE:
                continue
            before = found.get(name, 0)
            found[name] = max(before, value) if name.startswith("hot_") else before + value
    return {
        name: dg.MetadataValue.int(value)
        if isinstance(value, int)
        else dg.MetadataValue.float(value)
        for name, value in found.items()
    }


def _together(
    by_lane: dict[str, dg.AssetCheckResult], passed_over: dict[str, str]
) -> dg.AssetCheckResult:
    first = next(iter(by_lane.values()))
    told = {lane: str(one.description) for lane, one in by_lane.items()}
    red = {lane: text for lane, text in told.items() if not by_lane[lane].passed}
    uncompared = {lane: f"not compared: {why}" for lane, why in passed_over.items()}
    return dg.AssetCheckResult(
        asset_key=first.asset_key,
        check_name=first.check_name,
        passed=not red,
        severity=first.severity,
        description=named(red or told | uncompared, several=True),
        metadata=keyed({lane: one.metadata for lane, one in by_lane.items()}),
    )
