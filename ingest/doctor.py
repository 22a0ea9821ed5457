"""Looks at everything a lane depends on, each part for itself, and says how to mend it.

Other packages add parts under the entry point group ``ingest.doctor``: functions that take the
settings and the contract, block, and return findings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from ingest import doctor_clickhouse, doctor_host, doctor_lake, doctor_nats
from ingest.contract import Contract
from ingest.doctor_finding import Finding
from ingest.lanes import lane_contract
from ingest.settings import Settings

Part = Callable[[Settings, Contract], list[Finding]]


async def examine(settings: Settings, *, mapping: bool = True) -> list[Finding]:
    """Every finding, part by part. Leaves nothing behind: what it writes it takes back.

    ``mapping`` asks the server where it puts messages, which is the same for all lanes. Raises
    ContractError when the contract cannot be read.
    """
    contract = lane_contract(settings)
    parts = await asyncio.gather(
        doctor_nats.examine(settings, contract, mapping=mapping),
        asyncio.to_thread(doctor_clickhouse.examine, settings, contract),
        asyncio.to_thread(doctor_lake.examine_store, settings),
        asyncio.to_thread(doctor_lake.examine_catalog, settings, contract),
        asyncio.to_thread(doctor_host.examine, settings),
        *(asyncio.to_thread(part, settings, contract) for part in _added_parts()),
    )
    return [finding for part in parts for finding in part]


async def examine_lanes(lanes: Sequence[Settings]) -> list[Finding]:
    """Findings of each lane; what is the same for all of them is told once. Raises as above."""
    found: dict[Finding, None] = {}
    for place, one in enumerate(lanes):
        found.update(dict.fromkeys(await examine(one, mapping=place == 0)))
    return list(found)


def _added_parts() -> list[Part]:
    """Parts of installed packages; one whose own dependencies are not installed is passed over."""
    parts: list[Part] = []
    for point in entry_points(group="ingest.doctor"):
        try:
            parts.append(point.load())
        except ModuleNotFoundError:
            continue
    return parts
