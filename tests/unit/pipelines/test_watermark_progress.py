"""What moved between two looks, what stands still, and what is up to date."""

from __future__ import annotations

from typing import Any

from ingest.status_record import LaneStatus, PathStatus
from pipelines.watermarks import CAUGHT_UP_EVERY_S, HOT, LaneAges, Memory, progress, remember


def status(position: int, lag: int = 0, epoch: str = "e", **problems: str) -> LaneStatus:
    """A lane whose hot path is at that position."""
    fields: dict[str, Any] = dict.fromkeys(PathStatus.__dataclass_fields__)
    path = PathStatus(**{**fields, "position": position, "epoch": epoch, "lag_messages": lag})
    return LaneStatus("L", "c", hot=path, problems=problems)


def looks(*steps: tuple[float, LaneStatus]) -> list[tuple[bool, bool]]:
    """Moved and current of the hot path, look by look."""
    memory: Memory = {}
    told = []
    for now, one in steps:
        found = progress(one, LaneAges(), memory, now)
        memory = remember(found, memory, now)
        (hot,) = [part for part in found if part.part == HOT]
        told.append((hot.moved, hot.current))
    return told


def test_a_new_position_is_a_move() -> None:
    """The first position counts, the same one again does not, a new epoch does."""
    found = looks((0, status(5)), (30, status(5)), (60, status(9)), (90, status(9, epoch="f")))
    assert found == [(True, False), (False, False), (True, False), (True, False)]


def test_a_path_that_never_ran_has_not_moved() -> None:
    """Position 0 is nothing stored."""
    assert looks((0, status(0)), (999, status(0))) == [(False, False), (False, False)]


def test_up_to_date_is_said_now_and_then() -> None:
    """With nothing left to do the table is fresh; with a lag or a problem it is not."""
    later = CAUGHT_UP_EVERY_S
    assert looks((0, status(5)), (later, status(5)), (later + 30, status(5)))[1:] == [
        (False, True),
        (False, False),
    ]
    assert looks((0, status(5)), (later, status(5, lag=1)))[1] == (False, False)
    away = status(5, ClickHouse="does not answer")
    assert looks((0, status(5)), (later, away))[1] == (False, False)


def test_the_rate_is_that_since_the_last_look() -> None:
    """Messages by seconds; a new history has none yet."""
    memory = remember(progress(status(100), LaneAges(), {}, 0.0), {}, 0.0)
    (hot,) = [one for one in progress(status(400), LaneAges(), memory, 30.0) if one.part == HOT]
    assert hot.figures["rate_per_s"] == 10.0
    rewritten = progress(status(400, epoch="f"), LaneAges(), memory, 30.0)
    assert all("rate_per_s" not in one.figures for one in rewritten)
