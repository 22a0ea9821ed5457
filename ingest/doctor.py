"""Looks at everything a lane depends on, each part for itself, and says how to mend it."""

from __future__ import annotations

import asyncio

from ingest import doctor_clickhouse, doctor_host, doctor_lake, doctor_nats
from ingest.contract import load_contract
from ingest.doctor_finding import Finding
from ingest.settings import Settings


async def examine(settings: Settings) -> list[Finding]:
    """Every finding, part by part. Leaves nothing behind: what it writes it takes back.

    Raises ContractError when the contract cannot be read.
    """
    contract = load_contract(settings.contract)
    parts = await asyncio.gather(
        doctor_nats.examine(settings, contract),
        asyncio.to_thread(doctor_clickhouse.examine, settings, contract),
        asyncio.to_thread(doctor_lake.examine_store, settings),
        asyncio.to_thread(doctor_lake.examine_catalog, settings, contract),
        asyncio.to_thread(doctor_host.examine, settings),
    )
    return [finding for part in parts for finding in part]
