"""What an error means to a Dagster run: try again, fail with advice, or leave it for later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import dagster as dg

from ingest.errors import IngestError, Transient
from pipelines.errors import BudgetBroken, BudgetNotMet, PipelineError

Result = TypeVar("Result")

RETRIES = 3
FIRST_PAUSE_S = 15.0
"""Each further pause is twice as long."""


def decided(context: dg.AssetExecutionContext, work: Callable[[], Result]) -> Result | None:
    """Result of ``work``, or None when the budget leaves it for a later run.

    The reason is then an observation of the asset. Raises RetryRequested for what passes by itself
    and Failure, without retries, for what a person must mend; both with the error's own sentence,
    which names the system.
    """
    try:
        return work()
    except (BudgetBroken, BudgetNotMet) as error:
        postpone(context, str(error))
        return None
    except (IngestError, PipelineError) as error:
        if isinstance(error, Transient):
            context.log.warning("%s", error)
            if context.retry_number < RETRIES:
                pause_s = FIRST_PAUSE_S * 2**context.retry_number
                raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=pause_s) from error
            raise dg.Failure(description=str(error), allow_retries=False) from error
        raise dg.Failure(description=str(error), allow_retries=False) from error


def postpone(context: dg.AssetExecutionContext, reason: str) -> None:
    """Records on the asset that nothing was done, and why; the next run looks again."""
    context.log.warning("left for a later run: %s", reason)
    context.log_event(dg.AssetObservation(context.asset_key, metadata={"left for later": reason}))
