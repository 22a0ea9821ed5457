"""The parts of several lanes as one: what moved in any of them, and what stands still in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.lanes import named
from pipelines.watermarks import STREAM, Figures, Memory, Progress

_SUMS = {
    "dropped_unread",
    "lag_messages",
    "messages",
    "open",
    "rate_lately_per_s",
    "rate_per_s",
}
_WORST = {"freshness_event_s", "freshness_stored_s", "lag_s", "proven_ago_s"}
_OF_THE_TABLE = {"bytes", "dagster/row_count", "entries_of_all_lanes", "files", "parts"}
"""Figures that every lane tells alike, for the table is one; a stream's bytes are its own."""


def together(by_lane: Mapping[str, Sequence[Progress]]) -> list[Progress]:
    """Each part over all lanes; of a single lane the parts as they are.

    A part counts as moved only when no lane of it stands still with messages unread: its asset
    must not look fresh because the other lanes go on.
    """
    if len(by_lane) == 1:
        return list(next(iter(by_lane.values())))
    return [
        _together(dict(zip(by_lane, same_part, strict=True)))
        for same_part in zip(*by_lane.values(), strict=True)
    ]


def memory_of(memory: Memory, lane: str, first: str) -> Memory:
    """What was seen of the lane; that of the ``first`` one is kept as if it were alone."""
    if lane == first:
        return {name: seen for name, seen in memory.items() if "/" not in name}
    ending = f"/{lane}"
    return {
        name.removesuffix(ending): seen for name, seen in memory.items() if name.endswith(ending)
    }


def memory_for(memory: Memory, lane: str, first: str) -> Memory:
    """The lane's memory under the names that ``memory_of`` looks for."""
    return memory if lane == first else {f"{name}/{lane}": seen for name, seen in memory.items()}


def _together(by_lane: Mapping[str, Progress]) -> Progress:
    parts = list(by_lane.values())
    part = parts[0].part
    positions = [one.position for one in parts if one.position is not None]
    stands_still = any(_stands_still(one) for one in parts)
    moved = any(one.moved for one in parts) and not stands_still
    current = any(one.current for one in parts) and not stands_still
    return Progress(
        part,
        sum(positions) if positions else None,
        "",
        sum(one.lag_messages for one in parts),
        _figures({lane: one.figures for lane, one in by_lane.items()}, part),
        moved=moved,
        current=current and not moved,
        problem=named(
            {lane: one.problem for lane, one in by_lane.items() if one.problem}, several=True
        ),
    )


def _stands_still(one: Progress) -> bool:
    return not one.moved and (one.position is None or one.lag_messages > 0)


def _figures(by_lane: Mapping[str, Figures], part: str) -> Figures:
    """Sums, the worst, and what the table has once; all else, and these too, by lane."""
    found: Figures = {}
    for lane, figures in by_lane.items():
        for name, value in figures.items():
            if name in _OF_THE_TABLE and part != STREAM:
                found[name] = value
                continue
            found[f"{name}/{lane}"] = value
            if isinstance(value, str):
                continue
            before = found.get(name, 0)
            assert not isinstance(before, str)
            if name in _SUMS or name == "bytes" or name.startswith("reason/"):
                found[name] = before + value
            elif name in _WORST:
                found[name] = max(before, value)
    return found
