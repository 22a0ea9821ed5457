"""What `ingest` feeds and Dagster only watches: the stream, its dead letters, both tables."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from ingest.contract import METADATA_FIELDS, Contract
from pipelines.scope import Scope

OWNERS = ["team:data"]
_METADATA_TEXTS = {
    "_seq": "Sequence of the message in the stream.",
    "_idx": "Place of the row in its message, from 0.",
    "_lane": "The stream.",
    "_epoch": "The history of the stream that the message belongs to.",
    "_stored_at": "When JetStream stored the message.",
}


def fed_by_ingest(scope: Scope) -> list[dg.AssetSpec]:
    """The four external assets of a contract.

    Tables count as fresh while they hold everything that the stream holds, also when nothing
    comes in: silence of the sensors is another matter.
    """
    contract = scope.contract
    table = f"{contract.namespace}.{contract.table}"
    schema = column_schema(contract)
    return [
        dg.AssetSpec(
            scope.stream,
            description=f"JetStream stream {scope.lane}: {', '.join(contract.subjects)}. "
            f"{contract.description}",
            kinds={"nats"},
            owners=OWNERS,
            group_name=scope.name,
            metadata={"contract": contract.name},
        ),
        dg.AssetSpec(
            scope.dead_letters,
            deps=[scope.stream],
            description="Messages that the contract refuses, one each, until a person decides.",
            kinds={"nats"},
            owners=OWNERS,
            group_name=scope.name,
        ),
        dg.AssetSpec(
            scope.hot_table,
            deps=[scope.stream],
            description=f"{contract.description} Seconds behind the stream (`ingest run hot`).",
            kinds={"clickhouse"},
            owners=OWNERS,
            group_name=scope.name,
            metadata={"dagster/column_schema": schema, "dagster/table_name": table},
            freshness_policy=dg.FreshnessPolicy.time_window(
                fail_window=timedelta(minutes=15), warn_window=timedelta(minutes=10)
            ),
        ),
        dg.AssetSpec(
            scope.lake_table,
            deps=[scope.stream],
            description=f"{contract.description} A minute behind the stream (`ingest run lake`).",
            kinds={"iceberg"},
            owners=OWNERS,
            group_name=scope.name,
            metadata={"dagster/column_schema": schema, "dagster/table_name": table},
            freshness_policy=dg.FreshnessPolicy.time_window(
                fail_window=timedelta(minutes=30), warn_window=timedelta(minutes=20)
            ),
        ),
    ]


def column_schema(contract: Contract) -> dg.TableSchema:
    """The contract's columns and the metadata columns, in the words of the contract."""
    columns = [
        dg.TableColumn(
            column.name,
            str(column.type),
            description=f"{column.description}{f' [{column.unit}]' if column.unit else ''}".strip(),
            constraints=dg.TableColumnConstraints(nullable=column.nullable),
        )
        for column in contract.columns
    ]
    columns += [
        dg.TableColumn(
            one.name,
            str(one.type),
            description=_METADATA_TEXTS[one.name],
            constraints=dg.TableColumnConstraints(nullable=False),
        )
        for one in METADATA_FIELDS
    ]
    return dg.TableSchema(columns)
