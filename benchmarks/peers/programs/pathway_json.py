"""Pathway reads JSON into a typed table and counts its rows.

Says {"read": n} whenever the count has changed, and goes on until it is stopped.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pathway as pw


class Reading(pw.Schema):
    """The columns of a reading."""

    device_id: str
    site: str
    metric: str
    ts: str
    value: float
    unit: str
    quality: str


def told(key: Any, row: dict[str, int], time: int, is_addition: bool) -> None:  # noqa: ARG001, FBT001
    """Says the count."""
    if is_addition:
        print(json.dumps({"read": row["rows"]}), flush=True)


if __name__ == "__main__":
    readings = pw.io.nats.read(
        os.environ["NATS_URL"],
        os.environ["SUBJECTS"],
        schema=Reading,
        format="json",
        # The default, 1500, would add up to a second and a half to the measurement.
        autocommit_duration_ms=100,
        jetstream_stream_name=os.environ["STREAM"],
        durable_consumer_name=os.environ["CONSUMER"],
    )
    pw.io.subscribe(readings.reduce(rows=pw.reducers.count()), told)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
