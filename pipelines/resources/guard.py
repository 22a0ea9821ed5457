"""The budget guard of every maintained lane as a Dagster resource."""

from __future__ import annotations

import time

import dagster as dg

from pipelines.budget import uses
from pipelines.guard import Guard
from pipelines.hot_samples import HotSampler
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import scopes


class BudgetGuard(dg.ConfigurableResource[None]):
    """Makes guards over the writers of all maintained lanes; nothing is opened before."""

    lakehouse: Lakehouse

    def guard(self) -> Guard:
        """A guard; it learns the hot path's latency at rest before it admits the first work.

        Raises SettingsError.
        """
        return Guard(self.lakehouse.pipeline_settings.budget, self._sampler())

    def objection(self) -> str | None:
        """Why no work should start now, in numbers, from one short look; None when nothing is seen.

        Without a memory of calm times only lag, headroom and the largest latency allowed count.
        Raises SettingsError.
        """
        budget = self.lakehouse.pipeline_settings.budget
        sampler = self._sampler()
        sampler.sample()
        time.sleep(budget.sample_every_s)
        sample = sampler.sample()
        if sample.hot is None:
            return f"the hot path's state is not known: {sample.problem}"
        worst = max(uses(sample, budget, None), key=lambda use: use.share)
        return worst.reason if worst.share >= 1 else None

    def _sampler(self) -> HotSampler:
        settings, own = self.lakehouse.settings, self.lakehouse.pipeline_settings
        maintained = scopes(settings, own.maintenance.contracts)
        lanes = [lane.name for scope in maintained for lane in self.lakehouse.lanes(scope)]
        return HotSampler(settings, own.budget, lanes)
