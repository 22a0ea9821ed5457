"""The verdicts of one check on several lanes as one verdict: red when one lane's is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.lanes import keyed, named
from pipelines.quality_cheap import verdicts
from pipelines.quality_look import LaneLook
from pipelines.quality_verdict import Verdict
from pipelines.settings import QualitySettings


def cheap_verdicts(looks: Sequence[LaneLook], bounds: QualitySettings) -> list[Verdict]:
    """The verdict of every cheap check over all the lanes that were looked at."""
    by_lane = {look.lane: verdicts(look, bounds) for look in looks}
    return [
        together(dict(zip(by_lane, same_check, strict=True)))
        for same_check in zip(*by_lane.values(), strict=True)
    ]


def together(by_lane: Mapping[str, Verdict]) -> Verdict:
    """One lane's verdict as it is; of several: the red lanes in words, numbers by lane."""
    found = list(by_lane.values())
    if len(found) == 1:
        return found[0]
    red = {lane: one.text for lane, one in by_lane.items() if not one.passed}
    green = {lane: one.text for lane, one in by_lane.items() if one.passed}
    headers = next((one.headers for one in found if one.rows), ())
    return Verdict(
        check=found[0].check,
        passed=not red,
        text=named(red or green, several=True),
        numbers=keyed({lane: one.numbers for lane, one in by_lane.items()}),
        headers=("lane", *headers) if headers else (),
        rows=[(lane, *row) for lane, one in by_lane.items() for row in one.rows],
        known=all(one.known for one in found),
    )
