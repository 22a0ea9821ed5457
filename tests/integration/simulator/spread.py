"""Servers that spread the subjects over lanes, and what is published to them."""

from __future__ import annotations

from typing import Any

from nats.js.api import StreamConfig, SubjectTransform

from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import Origin
from simulator.publisher import Publisher, PublishOptions, new_run_id
from tests.integration.simulator.conftest import NatsServer, jetstream

LANES = ("READINGS", "READINGS_1", "READINGS_2")
START_US = 1_795_000_000_000_000


def mapping(count: int, tokens: str = "1,2") -> str:
    """Configuration that spreads the subjects over ``count`` lanes by these of their tokens."""
    lane = f"{{{{partition({count},{tokens})}}}}"
    target = f"lanes.READINGS.{lane}.readings.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.>"
    return f'mappings = {{ "readings.*.*.>": "{target}" }}\n'


def fleet(count: int, **changes: Any) -> Fleet:
    """A fleet of 30 devices."""
    return Fleet(FleetOptions(**{"start_us": START_US, "devices": 30, "count": count, **changes}))


def publisher(nats: Any, **changes: Any) -> Publisher:
    """A publisher that tries again soon."""
    options: dict[str, Any] = {"nats": nats, "patience_s": 30.0, "ack_timeout_s": 1.0}
    origin = Origin(new_run_id(), "readings", "readings", "fleet", 1)
    return Publisher(PublishOptions(**options | changes), origin)


async def make_lanes(server: NatsServer, *, duplicate_window_s: float = 60.0) -> None:
    """Makes the three streams; without a mapping the first one takes everything."""
    async with jetstream(server) as js:
        for number, name in enumerate(LANES):
            mapped = f"lanes.READINGS.{number}.>"
            await js.add_stream(
                StreamConfig(
                    name=name,
                    subjects=[mapped] if number else ["readings.>", mapped],
                    subject_transform=SubjectTransform(src=mapped, dest=">"),
                    duplicate_window=duplicate_window_s,
                )
            )
