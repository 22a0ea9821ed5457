"""Rewriting a stream's history the ways it happens: tail lost, stream made anew, records older."""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from devstack.supervisor import Devstack
from ingest.kept import open_bucket
from ingest.nats_link import NatsLink
from ingest.registry import Registry, RegistryStore
from tests.support.lane import TestLane
from tests.support.waiting import until


def save_stream(lane: TestLane) -> Path:
    """A copy of the lane's files as they are now; NATS is killed and started again for it."""
    lane.stack.kill("nats")
    copy = lane.folder / f"older-{secrets.token_hex(3)}"
    shutil.copytree(_files(lane), copy)
    lane.stack.start_service("nats")
    return copy


def restore_stream(lane: TestLane, copy: Path) -> None:
    """The lane as it was: what was published since has never been, as after a power cut.

    NATS is down afterwards.
    """
    lane.stack.kill("nats")
    shutil.rmtree(_files(lane))
    shutil.copytree(copy, _files(lane))


def make_anew(lane: TestLane) -> None:
    """Deletes the lane's stream and makes an empty one of the same configuration."""

    async def work(link: NatsLink) -> None:
        config = (await link.api(f"STREAM.INFO.{lane.stream}", {}))["config"]
        await link.api(f"STREAM.DELETE.{lane.stream}")
        await link.api(f"STREAM.CREATE.{lane.stream}", config)

    lane.run_async(work)


def read_record(lane: TestLane, key: str) -> bytes:
    """A kept record as it stands."""

    async def work(link: NatsLink) -> bytes:
        kept = await (await open_bucket(link)).read(key)
        assert kept is not None
        return kept.value

    return lane.run_async(work)


def put_record(lane: TestLane, key: str, value: bytes) -> None:
    """Puts an older record back, as a restored bucket has it."""

    async def work(link: NatsLink) -> None:
        await (await link.js.key_value("ingest")).put(key, value)

    lane.run_async(work)


def registry(lane: TestLane) -> Registry:
    """The lane's registry."""

    async def work(link: NatsLink) -> Registry:
        found = await RegistryStore(link, await open_bucket(link), lane.stream).read()
        assert found is not None
        return found

    return lane.run_async(work)


def hot_values(lane: TestLane) -> Counter[float]:
    """How often each reading's value is in ClickHouse."""
    client = lane.clickhouse()
    try:
        found = client.query(f"SELECT value, count() FROM {lane.table} GROUP BY value")
        return Counter({float(value): int(count) for value, count in found.result_rows})
    finally:
        client.close()


def lake_values(lane: TestLane) -> Counter[float]:
    """How often each reading's value is in Iceberg."""
    values: Any = lane.lake_table().scan(selected_fields=("value",)).to_arrow().column("value")
    counted = pc.value_counts(values)
    return Counter(
        dict(
            zip(
                counted.field("values").to_pylist(),
                counted.field("counts").to_pylist(),
                strict=True,
            )
        )
    )


def once(*spans: range) -> Counter[float]:
    """The values of the readings of these numbers, each once."""
    return Counter({number * 0.5: 1 for span in spans for number in span})


def wait_values(lane: TestLane, expected: Counter[float], *paths: str) -> None:
    """Waits until the sinks of the paths (default: both) hold at least the expected readings."""
    for path, values in (("hot", hot_values), ("lake", lake_values)):
        if path in (paths or (path,)):
            until(
                lambda values=values: values(lane).keys() >= expected.keys(),  # type: ignore[misc]
                f"{path} to hold {len(expected)} readings",
                every_s=0.2,
            )


def _files(lane: TestLane) -> Path:
    assert isinstance(lane.stack, Devstack), "the files of a container are not at hand"
    return lane.stack.directory / "nats" / "jetstream" / "$G" / "streams" / lane.stream
