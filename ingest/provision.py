"""Makes what a lane needs, once: streams, key-value buckets, S3 bucket, tables and the registry.

Every step looks first and makes only what is missing, so a half-made platform is completed by the
next run. The registry comes last: a lane is registered only when all its parts are there.
"""

from __future__ import annotations

import asyncio

from ingest import provision_s3, provision_streams, provision_tables
from ingest.kept import BUCKET, LEASE_BUCKET, create_bucket, open_bucket
from ingest.lane_mapping import wrong_mappings
from ingest.lanes import each_lane, lane_contract, mappings
from ingest.nats_link import NatsLink, connect
from ingest.provision_step import Step, made_or_there
from ingest.registry import RegistryStore
from ingest.settings import Settings


async def init(settings: Settings) -> list[str]:
    """Makes what is missing; a sentence for each part, made or already there.

    Raises as `provision`.
    """
    return [str(step) for step in await provision(settings, update=False)]


async def provision(settings: Settings, *, update: bool) -> list[Step]:
    """Makes what is missing, for every lane; compares what is there with settings and contract.

    ``update`` lets streams grow to the settings' sizes and take a lane's subjects; nothing else of
    an existing part is ever changed. Raises StreamUnavailableError or SinkUnavailableError when a
    service does not answer, StreamConfigError when a stream cannot carry the promise,
    SchemaMismatchError when the contract is not the one in force, SettingsError when credentials
    are refused.
    """
    lanes = each_lane(settings)
    told: dict[tuple[str, str], Step] = {}
    for lane in lanes:
        for step in await _provision_lane(lane, update=update):
            # What all lanes share was made or found by the first.
            told.setdefault((step.part, step.name), step)
    return [*told.values(), *await _mapping_steps(lanes[0])]


async def _provision_lane(settings: Settings, *, update: bool) -> list[Step]:
    contract = lane_contract(settings)
    link = await connect(settings.nats, "ingest-init", patient=False)
    try:
        steps = await provision_streams.make(link, settings, contract, update=update)
        steps += await _make_buckets(link, settings)
        store = RegistryStore(link, await open_bucket(link), contract.stream)
        registered = await store.peek() is not None
        if registered:
            await store.open(contract)
        steps.append(await asyncio.to_thread(provision_s3.make, settings.s3))
        steps += await asyncio.to_thread(provision_tables.make_clickhouse, settings, contract)
        steps += await asyncio.to_thread(provision_tables.make_iceberg, settings, contract)
        await store.open(contract)
        steps.append(made_or_there("registry", contract.stream, made=not registered))
    finally:
        await link.close()
    return steps


async def _mapping_steps(settings: Settings) -> list[Step]:
    """Whether the server spreads the messages over the lanes; only its administrator can do that.

    Streams come first: a message that is mapped to a lane without one is not acknowledged.
    """
    needed = mappings(settings)
    if not needed:
        return []
    link = await connect(settings.nats, "ingest-init", patient=False)
    try:
        wrong = await wrong_mappings(link, needed)
    finally:
        await link.close()
    stream = needed[0].stream
    if not wrong:
        return [Step("subject mapping", stream, "there")]
    return [Step("subject mapping", stream, "missing", tuple(wrong))]


async def _make_buckets(link: NatsLink, settings: Settings) -> list[Step]:
    steps: list[Step] = []
    for name, ttl_s in ((BUCKET, 0.0), (LEASE_BUCKET, settings.writer.lease_ttl_s)):
        made = await create_bucket(link, name, replicas=settings.stream.replicas, ttl_s=ttl_s)
        steps.append(made_or_there("key-value bucket", name, made=made))
    return steps
