"""A lane's settings for the maintenance side, and a guard that is never in the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingest.settings_sources import env_name, setting_names
from pipelines.cancel import Cancel
from pipelines.cost import Cost, Guarded, figures
from pipelines.settings import PipelineSettings, load_pipeline_settings
from pipelines.trino_client import Trino
from tests.support.lane import TestLane


def pipeline_settings(lane: TestLane) -> PipelineSettings:
    """Settings of the maintenance side as the lane's processes see them."""
    known = {env_name(name) for name in setting_names(PipelineSettings)}
    names = {name: value for name, value in lane.env.items() if name in known}
    dotted = {name.removeprefix("IOT_").lower(): value for name, value in names.items()}
    return load_pipeline_settings(lane.folder, **dotted)


def trino_of(lane: TestLane) -> Trino:
    """The platform's Trino."""
    return Trino(pipeline_settings(lane).trino)


class Open:
    """Admits every unit; ``before`` is called with the number of units that have ended."""

    def __init__(self, before: Callable[[int], None] = lambda _: None) -> None:
        self._before = before
        self.works: list[str] = []

    def run(
        self,
        work: str,
        unit: Callable[[Cancel], Any],
        *,
        give_up_after_s: float | None = None,
    ) -> Guarded[Any]:
        """Runs the unit at once."""
        self._before(len(self.works))
        result = unit(Cancel())
        self.works.append(work)
        nothing = figures([])
        return Guarded(
            result,
            Cost(work=work, seconds=0, waited_s=0, before=nothing, during=nothing, after=nothing),
        )
