"""A contract file against what is in force: what would change, and changing it.

The sinks come first, the registry last: a version that is in force must find its columns in both
tables. Every step looks before it acts, so a run that was cut off is finished by the next.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest import catalog, clickhouse_client, schema_iceberg
from ingest.contract import Contract
from ingest.errors import SchemaMismatchError
from ingest.evolution import Change, changes
from ingest.kept import open_bucket
from ingest.lanes import lane_contract
from ingest.nats_link import NatsLink, connect
from ingest.provision_tables import live_clickhouse_columns
from ingest.registry import Registry, RegistryStore
from ingest.settings import Settings
from ingest.sinks.clickhouse_schema import add_column_statements

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Plan:
    """What applying the contract file would do.

    ``version`` is in force on ``lane`` now, since sequence ``since``; ``contract_changes`` lead
    from it to the file; ``clickhouse`` are statements, ``iceberg`` sentences.
    """

    lane: str
    contract: str
    version: int
    since: int
    contract_changes: tuple[Change, ...]
    clickhouse: tuple[str, ...]
    iceberg: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether file, registry and both tables agree."""
        return not (self.contract_changes or self.clickhouse or self.iceberg)


async def plan(settings: Settings) -> Plan:
    """Compares file, registry and live tables; changes nothing.

    Raises ContractError for a change that is refused, SchemaMismatchError for a table that was
    changed by other hands or is missing, and when a service does not answer.
    """
    contract = lane_contract(settings)
    link = await connect(settings.nats, "ingest-schema", patient=False)
    try:
        registry = await _registry(link, contract)
    finally:
        await link.close()
    return await _plan(settings, contract, registry)


async def apply(settings: Settings) -> tuple[Plan, Registry]:
    """Brings both tables to the contract file, then puts it in force from the next message on.

    Returns what was done and the registry after it. Raises as `plan`; may be repeated.
    """
    contract = lane_contract(settings)
    link = await connect(settings.nats, "ingest-schema", patient=False)
    try:
        todo = await _plan(settings, contract, await _registry(link, contract))
        await asyncio.to_thread(_apply_clickhouse, settings, contract)
        await asyncio.to_thread(_apply_iceberg, settings, contract)
        store = RegistryStore(link, await open_bucket(link), contract.stream)
        registry = await store.announce(contract)
    finally:
        await link.close()
    newest = registry.record.versions[-1]
    log.info("contract_in_force", lane=todo.lane, version=newest.number, since=newest.first_seq)
    return todo, registry


async def _registry(link: NatsLink, contract: Contract) -> Registry:
    store = RegistryStore(link, await open_bucket(link), contract.stream)
    registry = await store.read()
    if registry is None:
        raise SchemaMismatchError(
            f"no contract is in force on {contract.stream} yet; run `ingest init` first"
        )
    return registry


async def _plan(settings: Settings, contract: Contract, registry: Registry) -> Plan:
    newest = registry.record.versions[-1]
    contract_changes = changes(Contract.from_json(newest.contract), contract)
    clickhouse, iceberg = await asyncio.gather(
        asyncio.to_thread(_clickhouse_statements, settings, contract),
        asyncio.to_thread(_iceberg_sentences, settings, contract),
    )
    return Plan(
        lane=contract.stream,
        contract=contract.name,
        version=newest.number,
        since=newest.first_seq,
        contract_changes=tuple(contract_changes),
        clickhouse=tuple(clickhouse),
        iceberg=tuple(iceberg),
    )


def _clickhouse_statements(settings: Settings, contract: Contract) -> list[str]:
    client = clickhouse_client.connect(settings.clickhouse, database="")
    try:
        live = live_clickhouse_columns(client, contract)
    except ClickHouseError as error:
        raise clickhouse_client.translate(error, sent=False) from error
    finally:
        client.close()
    if not live:
        name = f"{contract.namespace}.{contract.table}"
        raise SchemaMismatchError(f"ClickHouse has no table {name}; run `ingest init` first")
    return add_column_statements(contract, live, cluster=settings.clickhouse.cluster or None)


def _iceberg_sentences(settings: Settings, contract: Contract) -> list[str]:
    found = schema_iceberg.live_differences(catalog.connect(settings), contract)
    return [difference.sentence for difference in found]


def _apply_clickhouse(settings: Settings, contract: Contract) -> None:
    statements = _clickhouse_statements(settings, contract)
    client = clickhouse_client.connect(settings.clickhouse, database="")
    try:
        for statement in statements:
            client.command(statement)
    except ClickHouseError as error:
        raise clickhouse_client.translate(error, sent=False) from error
    finally:
        client.close()


def _apply_iceberg(settings: Settings, contract: Contract) -> None:
    schema_iceberg.apply(catalog.connect(settings), contract)
