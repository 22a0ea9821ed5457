"""The report on the dead-letter queue, every hour.

Annotations are real types here: Dagster does not find its context class by its name (1.13).
"""

from collections.abc import Iterator

import dagster as dg

from ingest.nats_link import NatsLink
from pipelines.defs.stream.assets import OWNERS
from pipelines.dlq_report import DeadLetterReport, dead_letter_report, together
from pipelines.report.dead_letters import of_dead_letters
from pipelines.resources.decisions import decided
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope


def report_key(scope: Scope) -> dg.AssetKey:
    """The report's key, below the dead letters."""
    return dg.AssetKey([*scope.stream.path, "dead_letters_report"])


def report(scope: Scope) -> dg.AssetsDefinition:
    """Refused messages by reason, subject and device."""

    @dg.asset(
        key=report_key(scope),
        deps=[scope.dead_letters],
        description="Refused messages that wait for a person: by reason, subject and device, with "
        "examples, and how many came by hour. `ingest dlq show` tells one in full.",
        kinds={"nats"},
        owners=OWNERS,
        group_name=scope.name,
        output_required=False,
    )
    def report_dead_letters(
        context: dg.AssetExecutionContext, lakehouse: Lakehouse
    ) -> Iterator[dg.MaterializeResult[None]]:
        async def ask(link: NatsLink) -> DeadLetterReport:
            lanes = lakehouse.lanes(scope)
            return together([await dead_letter_report(link, one.contract) for one in lanes])

        found = decided(context, lambda: lakehouse.nats(ask))
        if found is not None:
            yield dg.MaterializeResult(metadata=of_dead_letters(found))

    return report_dead_letters
