"""Whether contract file, registry, ClickHouse, Iceberg and Trino mean the same table."""

from __future__ import annotations

import asyncio

from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest import catalog, clickhouse_client, schema_iceberg
from ingest.contract import METADATA_FIELDS, Contract
from ingest.errors import ContractError, SchemaMismatchError
from ingest.evolution import changes
from ingest.kept import open_bucket
from ingest.lanes import lane_contract
from ingest.nats_link import connect
from ingest.provision_tables import live_clickhouse_columns
from ingest.registry import Registry, RegistryStore
from ingest.settings import Settings
from ingest.sinks.clickhouse_schema import add_column_statements
from pipelines.quality_verdict import Verdict
from pipelines.trino_client import Trino, quoted
from pipelines.trino_types import COLUMN_TYPES

IN_FORCE = "contract_is_in_force"
CLICKHOUSE = "clickhouse_has_the_contracts_columns"
ICEBERG = "iceberg_has_the_contracts_columns"
_METADATA = {
    "_seq": "bigint",
    "_idx": "integer",
    "_lane": "varchar",
    "_epoch": "varchar",
    "_stored_at": "timestamp(6) with time zone",
}


def in_force(settings: Settings) -> Verdict:
    """The contract file says what the registry has in force. Raises IngestError."""
    newest, number = contract_in_force(settings)
    try:
        found = [str(one) for one in changes(newest, lane_contract(settings))]
    except ContractError as error:
        found = [str(error)]
    return _verdict(
        IN_FORCE,
        found,
        f"contract {newest.name} is in force as version {number}",
        "the contract file is not what is in force (`ingest schema apply`)",
        {"version": number},
    )


def in_clickhouse(settings: Settings) -> Verdict:
    """ClickHouse's table has the columns of the contract in force. Raises IngestError."""
    contract, number = contract_in_force(settings)
    client = clickhouse_client.connect(settings.clickhouse, database="")
    try:
        live = live_clickhouse_columns(client, contract)
    except ClickHouseError as error:
        raise clickhouse_client.translate(error, sent=False) from error
    finally:
        client.close()
    try:
        found = add_column_statements(contract, live) if live else ["there is no such table"]
    except SchemaMismatchError as error:
        found = [str(error)]
    name = f"{contract.namespace}.{contract.table}"
    return _verdict(
        CLICKHOUSE,
        found,
        f"ClickHouse's {name} has the {len(live)} columns of version {number}",
        f"ClickHouse's {name} is not what version {number} says (`ingest schema diff`)",
        {"version": number, "columns": len(live)},
    )


def in_iceberg(settings: Settings, trino: Trino) -> Verdict:
    """The Iceberg table, and Trino's view of it, have the columns in force.

    Raises IngestError, TrinoUnavailable, TrinoRefused.
    """
    contract, number = contract_in_force(settings)
    try:
        differences = schema_iceberg.live_differences(catalog.connect(settings), contract)
        found = [one.sentence for one in differences]
    except SchemaMismatchError as error:
        found = [str(error)]
    seen = trino_columns(trino, contract)
    found += _trino_differences(contract, seen)
    name = f"{contract.namespace}.{contract.table}"
    return _verdict(
        ICEBERG,
        found,
        f"Iceberg's {name} has the {len(seen)} columns of version {number}, in Trino too",
        f"Iceberg's {name} is not what version {number} says (`ingest schema diff`)",
        {"version": number, "columns": len(seen)},
    )


def trino_columns(trino: Trino, contract: Contract) -> dict[str, str]:
    """Name and type of each column as Trino sees them, in order."""
    rows = trino.query(
        f"SELECT column_name, data_type FROM {quoted(trino.catalog)}.information_schema.columns"
        " WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
        [contract.namespace, contract.table],
    )
    return {str(name): str(kind) for name, kind in rows}


def contract_in_force(settings: Settings) -> tuple[Contract, int]:
    """The newest contract of the lane's registry and its number. Raises IngestError."""
    lane = lane_contract(settings).stream
    registry = asyncio.run(_registry(settings, lane))
    if registry is None:
        raise SchemaMismatchError(f"no contract is in force on {lane}; run `ingest init` first")
    newest = registry.record.versions[-1]
    return Contract.from_json(newest.contract), newest.number


async def _registry(settings: Settings, lane: str) -> Registry | None:
    link = await connect(settings.nats, "iot-checks", patient=False)
    try:
        return await RegistryStore(link, await open_bucket(link), lane).peek()
    finally:
        await link.close()


def _trino_differences(contract: Contract, seen: dict[str, str]) -> list[str]:
    wanted = {one.name: COLUMN_TYPES[one.type] for one in contract.columns} | _METADATA
    assert list(_METADATA) == [one.name for one in METADATA_FIELDS]
    if not seen:
        return ["Trino sees no such table"]
    found = [
        f"Trino sees column {name} as {seen.get(name, 'missing')}, the contract says {kind}"
        for name, kind in wanted.items()
        if seen.get(name) != kind
    ]
    return found + [f"Trino sees column {name} besides" for name in seen if name not in wanted]


def _verdict(
    check: str, found: list[str], green: str, red: str, numbers: dict[str, int]
) -> Verdict:
    text = f"{red}: {'; '.join(found[:5])}" if found else green
    return Verdict(
        check,
        passed=not found,
        text=text,
        numbers=numbers | {"differences": len(found), "differences_allowed": 0},
        headers=("difference",) if found else (),
        rows=[(one,) for one in found],
    )
