"""Payloads of well-formed messages: a JSON object, a JSON array, an Arrow IPC stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

PayloadKind = Literal["json", "array", "arrow"]
PAYLOAD_KINDS: tuple[str, ...] = get_args(PayloadKind)

ARROW_SCHEMA = pa.schema(
    [
        pa.field("device_id", pa.string(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("ts", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("unit", pa.string()),
        pa.field("quality", pa.string()),
    ]
)


def json_array(documents: Sequence[str]) -> bytes:
    """JSON array of JSON documents."""
    return f"[{','.join(documents)}]".encode()


def arrow_stream(batch: pa.RecordBatch) -> bytes:
    """Arrow IPC stream of one record batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def arrow_batch(
    device_id: str,
    site: str,
    metric: str,
    unit: str,
    ts_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    quality: Sequence[str],
) -> pa.RecordBatch:
    """Record batch of one device's readings of one metric; ``ts_us`` in microseconds, UTC."""
    rows = len(ts_us)
    return pa.RecordBatch.from_arrays(
        [
            pa.repeat(device_id, rows),
            pa.repeat(site, rows),
            pa.repeat(metric, rows),
            pa.array(ts_us).cast(pa.timestamp("us", tz="UTC")),
            pa.array(values),
            pa.repeat(unit, rows),
            pa.array(quality, pa.string()),
        ],
        schema=ARROW_SCHEMA,
    )
