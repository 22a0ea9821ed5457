"""Makes the tables of both sinks, and says how existing ones differ from the contract."""

from __future__ import annotations

import re

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from pyiceberg.catalog import Catalog

from ingest import catalog, clickhouse_client
from ingest.contract import Contract
from ingest.errors import SchemaMismatchError
from ingest.provision_step import Step, made_or_there
from ingest.settings import Settings
from ingest.sinks import clickhouse_schema, iceberg_schema
from ingest.sinks.iceberg import FAILURES
from ingest.table_diff import iceberg_differences

SEE_DIFF = "see `ingest schema diff`"
CREATED = re.compile(r"CREATE (DATABASE|TABLE|VIEW) IF NOT EXISTS ([^\s(]+)")


def make_clickhouse(settings: Settings, contract: Contract) -> list[Step]:
    """Makes database, table and views in ClickHouse where they are missing; blocks.

    Raises SinkUnavailableError, SchemaMismatchError or SettingsError.
    """
    cluster = settings.clickhouse.cluster or None
    client = clickhouse_client.connect(settings.clickhouse, database="")
    try:
        steps = []
        for statement in clickhouse_schema.create_statements(contract, cluster=cluster):
            kind, name = _created(statement)
            there = _exists(client, kind, name)
            client.command(statement)
            steps.append(made_or_there(f"ClickHouse {kind}", name, made=not there))
        return [_compared(step, client, contract) for step in steps]
    except ClickHouseError as error:
        raise clickhouse_client.translate(error, sent=False) from error
    finally:
        client.close()


def make_iceberg(settings: Settings, contract: Contract) -> list[Step]:
    """Makes namespace and table in the Iceberg catalog where they are missing; blocks.

    Raises SinkUnavailableError or SettingsError.
    """
    try:
        lake = catalog.connect(settings)
        return [_make_namespace(lake, contract), _make_table(lake, contract)]
    except FAILURES as error:
        raise catalog.unavailable(error) from error


def live_clickhouse_columns(client: Client, contract: Contract) -> dict[str, str]:
    """Name and type of the table's columns in order; empty when there is no table."""
    found = client.query(
        "SELECT name, type FROM system.columns"
        " WHERE database = {database:String} AND table = {table:String} ORDER BY position",
        {"database": contract.namespace, "table": contract.table},
    )
    return {str(name): str(kind) for name, kind in found.result_rows}


def _created(statement: str) -> tuple[str, str]:
    """What a CREATE statement makes: kind and dotted name."""
    found = CREATED.match(statement)
    assert found is not None, statement
    return found[1].lower(), found[2].replace("`", "")


def _exists(client: Client, kind: str, name: str) -> bool:
    database, _, table = name.partition(".")
    if kind == "database":
        query = "SELECT count() FROM system.databases WHERE name = {database:String}"
    else:
        query = (
            "SELECT count() FROM system.tables"
            " WHERE database = {database:String} AND name = {table:String}"
        )
    rows = client.query(query, {"database": database, "table": table}).result_rows
    return bool(rows[0][0])


def _compared(step: Step, client: Client, contract: Contract) -> Step:
    """A table that was there is held against the contract."""
    if step.outcome != "there" or step.name != f"{contract.namespace}.{contract.table}":
        return step
    try:
        missing = clickhouse_schema.add_column_statements(
            contract, live_clickhouse_columns(client, contract)
        )
    except SchemaMismatchError as error:
        return Step(step.part, step.name, "differs", (str(error), SEE_DIFF))
    if missing:
        return Step(step.part, step.name, "differs", ("columns are missing or narrower", SEE_DIFF))
    return step


def _make_namespace(lake: Catalog, contract: Contract) -> Step:
    there = lake.namespace_exists(contract.namespace)
    if not there:
        lake.create_namespace_if_not_exists(contract.namespace)
    return made_or_there("Iceberg namespace", contract.namespace, made=not there)


def _make_table(lake: Catalog, contract: Contract) -> Step:
    name = f"{contract.namespace}.{contract.table}"
    # Looked up first: not every catalog refuses to create a table that is already there.
    if not lake.table_exists(name):
        schema = iceberg_schema.iceberg_schema(contract)
        lake.create_table_if_not_exists(
            name,
            schema=schema,
            partition_spec=iceberg_schema.partition_spec(contract, schema),
            sort_order=iceberg_schema.sort_order(contract, schema),
            properties=iceberg_schema.table_properties(contract),
        )
        return made_or_there("Iceberg table", name, made=True)
    differences = iceberg_differences(lake.load_table(name), contract)
    if differences:
        told = tuple(difference.sentence for difference in differences)
        return Step("Iceberg table", name, "differs", (*told, SEE_DIFF))
    return made_or_there("Iceberg table", name, made=False)
