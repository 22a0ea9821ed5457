"""`ingest schema`: a contract's tables, what would change, and changing it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ingest.commands.options import (
    contract_option,
    lane_option,
    of_lanes,
    output_option,
    print_json,
    settings_for,
)
from ingest.commands.plain import print_columns
from ingest.logs import configure

if TYPE_CHECKING:
    from ingest.schema_apply import Plan


@click.group("schema")
def command() -> None:
    """Show a contract's tables, what a change of its file would do, and apply it.

    Allowed: an optional column more, a wider number (int32 to int64, float32 to float64), and how
    payloads are read. Anything else is refused with the reason, exit code 2.
    """


@command.command("show")
@contract_option
@output_option
def show(contract: str | None, output: str) -> int:
    """Show the columns of the contract file, and the tables made from it. Asks no server."""
    from ingest.contract import load_contract
    from ingest.sinks import clickhouse_schema, iceberg_schema

    settings = settings_for(contract)
    declared = load_contract(settings.contract)
    cluster = settings.clickhouse.cluster or None
    statements = clickhouse_schema.create_statements(declared, cluster=cluster)
    lake = iceberg_schema.iceberg_schema(declared)
    partition = iceberg_schema.partition_spec(declared, lake)
    order = iceberg_schema.sort_order(declared, lake)
    if output == "json":
        print_json(
            {
                "contract": json.loads(declared.to_json()),
                "clickhouse": statements,
                "iceberg": json.loads(lake.model_dump_json()),
                "iceberg_partition": json.loads(partition.model_dump_json()),
                "iceberg_sort_order": json.loads(order.model_dump_json()),
            }
        )
        return 0
    click.echo(
        f"contract {declared.name}, stream {declared.stream}, {declared.namespace}."
        f"{declared.table}\n"
    )
    print_columns(
        ["column", "type", "may be missing", "unit", "description"],
        [
            (c.name, c.type, "yes" if c.nullable else "no", c.unit, c.description)
            for c in declared.columns
        ],
    )
    click.echo("\nClickHouse\n")
    for statement in statements:
        click.echo(f"{statement};\n")
    click.echo(f"Iceberg\n\n{lake}\npartition {partition}\nsort order {order}")
    return 0


@command.command("diff")
@contract_option
@lane_option
@output_option
def diff(*, contract: str | None, lane: int | None, output: str) -> int:
    """Compare the contract file with the version in force and with both live tables."""
    from ingest.lanes import each_lane
    from ingest.schema_apply import plan

    settings = settings_for(contract, lane)
    configure(settings.log)
    found = [asyncio.run(plan(one)) for one in each_lane(settings)]
    if output == "json":
        print_json(of_lanes([_as_json(one) for one in found]))
        return 0
    for one in found:
        for line in _lines(one):
            click.echo(line)
    return 0


@command.command("apply")
@contract_option
@lane_option
@output_option
def apply_command(*, contract: str | None, lane: int | None, output: str) -> int:
    """Change both tables, then put the contract file in force from the next message on.

    Writers may run: messages before that stay decoded by the version before, in both sinks alike.
    Safe to repeat when it was cut off.
    """
    from ingest.lanes import each_lane
    from ingest.schema_apply import apply

    settings = settings_for(contract, lane)
    configure(settings.log)
    documents = []
    for one in each_lane(settings):
        done, registry = asyncio.run(apply(one))
        newest = registry.record.versions[-1]
        in_force = {"version": newest.number, "since": newest.first_seq}
        documents.append({"applied": _as_json(done), "in_force": in_force})
        if output == "text":
            for line in _lines(done):
                click.echo(line)
            click.echo(f"version {newest.number} is in force from sequence {newest.first_seq} on")
    if output == "json":
        print_json(of_lanes(documents))
    return 0


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        "lane": plan.lane,
        "contract": plan.contract,
        "version": plan.version,
        "since": plan.since,
        "equal": plan.is_empty,
        "changes": [
            {
                "kind": str(change.kind),
                "subject": change.subject,
                "before": change.before,
                "after": change.after,
            }
            for change in plan.contract_changes
        ],
        "clickhouse": list(plan.clickhouse),
        "iceberg": list(plan.iceberg),
    }


def _lines(plan: Plan) -> Iterator[str]:
    yield (
        f"contract {plan.contract}: version {plan.version} was put in force on {plan.lane} at"
        f" sequence {plan.since}"
    )
    if plan.is_empty:
        yield "file, registry and both tables agree"
        return
    for change in plan.contract_changes:
        yield f"contract    {change}"
    for statement in plan.clickhouse:
        yield f"ClickHouse  {' '.join(statement.split())}"
    for sentence in plan.iceberg:
        yield f"Iceberg     {sentence}"
