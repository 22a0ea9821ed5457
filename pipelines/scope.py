"""What one contract is called in Dagster: its lane, its tables, the keys of its assets."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from ingest.contract import Contract, load_contract
from ingest.settings import Settings


@dataclass(frozen=True)
class Scope:
    """One contract's part of the graph.

    ``source`` is the contract's packaged name or file, as the setting ``contract`` takes it.
    """

    contract: Contract
    source: str = ""

    @property
    def lane(self) -> str:
        """The stream's name."""
        return self.contract.stream

    @property
    def name(self) -> str:
        """Prefix of the names of jobs, schedules and sensors: the table's name."""
        return self.contract.table

    @property
    def stream(self) -> dg.AssetKey:
        """The JetStream stream."""
        return dg.AssetKey(["nats", self.lane])

    @property
    def dead_letters(self) -> dg.AssetKey:
        """The lane's part of the DLQ stream."""
        return dg.AssetKey(["nats", self.lane, "dead_letters"])

    @property
    def hot_table(self) -> dg.AssetKey:
        """The ClickHouse table."""
        return dg.AssetKey(["clickhouse", self.contract.namespace, self.contract.table])

    @property
    def lake_table(self) -> dg.AssetKey:
        """The Iceberg table."""
        return dg.AssetKey(["iceberg", self.contract.namespace, self.contract.table])

    @property
    def proof(self) -> dg.AssetKey:
        """The reconciliation of stream, sinks and DLQ."""
        return dg.AssetKey(["proof", self.lane, "reconciliation"])

    def of_hot_table(self, what: str) -> dg.AssetKey:
        """Something that is made from or done to the ClickHouse table."""
        return dg.AssetKey([*self.hot_table.path, what])

    def of_lake_table(self, what: str) -> dg.AssetKey:
        """Something that is done to the Iceberg table."""
        return dg.AssetKey([*self.lake_table.path, what])

    def lake_product(self, suffix: str) -> dg.AssetKey:
        """An Iceberg table made from the lake table: ``<table>_<suffix>``."""
        contract = self.contract
        return dg.AssetKey(["iceberg", contract.namespace, f"{contract.table}_{suffix}"])


def scopes(settings: Settings, contracts: str) -> list[Scope]:
    """One scope for each contract named, separated by commas; none named: the setting's own.

    Raises ContractError for a contract that cannot be read.
    """
    names = [name.strip() for name in contracts.split(",") if name.strip()]
    return [Scope(load_contract(name), name) for name in names or [settings.contract]]
