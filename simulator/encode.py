"""Blocks of measurements as payloads, with the fingerprint of each message.

This is the inner loop of a run: texts that belong to a device or a metric are made once, and the
canonical bytes are put together here in the same form as ``manifest.canonical_reading``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from xxhash import xxh64_intdigest

from ingest.fingerprint import MASK, canonical_value
from simulator.blocks import Block
from simulator.payloads import arrow_batch, arrow_stream, json_array
from simulator.readings import Reading, subject_token
from simulator.signals import METRICS, FloatArray, IntArray, Metric

if TYPE_CHECKING:
    from simulator.fleet import FleetOptions

Pairs = list[tuple[int, int]]
"""Device number and index of the metric, of each message."""

Encoded = tuple[list[bytes], list[int], list[int]]
"""Payloads, readings in each, sum of their hashes."""

QUALITY = ("good", "suspect")


@dataclass(frozen=True, slots=True)
class Columns:
    """n messages as lists: ``marks`` are the sums (modulo 2^64) of their readings' hashes."""

    subjects: list[str]
    payloads: list[bytes]
    devices: list[str]
    readings: list[int]
    marks: list[int]


class Encoder:
    """Turns blocks into payloads of the kind that the options name."""

    def __init__(self, options: FleetOptions) -> None:
        self.options = options
        width = max(4, len(str(options.devices - 1)))
        self.devices = [f"dev-{number:0{width}d}" for number in range(options.devices)]
        self.sites = [f"site-{number % options.sites:02d}" for number in range(options.devices)]
        self._json_heads = [
            f'{{"device_id":"{device}","site":"{site}","metric":"'
            for device, site in zip(self.devices, self.sites, strict=True)
        ]
        self._canonical_heads = [
            (canonical_value(device) + canonical_value(site)).decode()
            for device, site in zip(self.devices, self.sites, strict=True)
        ]
        self._subject_heads = [
            f"{options.subject_prefix}.{subject_token(site)}.{subject_token(device)}."
            for device, site in zip(self.devices, self.sites, strict=True)
        ]
        self._metrics = [metric.name for metric in METRICS]
        self._json_metrics = [f'{metric.name}","ts":"' for metric in METRICS]
        self._canonical_metrics = [canonical_value(metric.name).decode() for metric in METRICS]
        self._canonical_units = [canonical_value(metric.unit).decode() for metric in METRICS]
        self._json_tails = [[_tail(metric, quality) for quality in QUALITY] for metric in METRICS]

    def reading(self, block: Block, index: int) -> Reading:
        """First reading of message ``index`` of the block."""
        device, metric = int(block.device[index]), METRICS[int(block.metric[index])]
        return Reading(
            self.devices[device],
            self.sites[device],
            metric.name,
            int(block.ts_us[index, 0]),
            float(block.value[index, 0]),
            metric.unit,
        )

    def encode(self, block: Block, left: int | None) -> Columns:
        """Every message of the block; ``left`` readings may still be made (None: no limit)."""
        devices, metrics = block.device.tolist(), block.metric.tolist()
        pairs = list(zip(devices, metrics, strict=True))
        if self.options.payload == "json":
            payloads, readings, marks = self._single(block, pairs)
        else:
            payloads, readings, marks = self._many(block, pairs, left)
        return Columns(
            subjects=[self._subject_heads[device] + self._metrics[one] for device, one in pairs],
            payloads=payloads,
            devices=[self.devices[device] for device in devices],
            readings=readings,
            marks=marks,
        )

    def _single(self, block: Block, pairs: Pairs) -> Encoded:
        heads, names, tails = self._json_heads, self._json_metrics, self._json_tails
        rows = zip(
            pairs,
            block.suspect.tolist(),
            _times(block.ts_us),
            block.value[:, 0].tolist(),
            strict=True,
        )
        payloads = [
            f'{heads[device]}{names[metric]}{time}Z","value":{value!r}{tails[metric][suspect]}'.encode()
            for (device, metric), suspect, time, value in rows
        ]
        return payloads, [1] * len(pairs), self._hashes(pairs, block.ts_us, block.value)

    def _many(self, block: Block, pairs: Pairs, left: int | None) -> Encoded:
        most = self.options.rows_per_message
        every = self._array if self.options.payload == "array" else self._arrow
        payloads, readings, marks = [], [], []
        for index, pair in enumerate(pairs):
            rows = most if left is None else min(most, left - index * most)
            ts_us, value = block.ts_us[index, :rows], block.value[index, :rows]
            payloads.append(every(block, index, rows))
            readings.append(rows)
            marks.append(sum(self._hashes([pair] * rows, ts_us, value)) & MASK)
        return payloads, readings, marks

    def _hashes(self, pairs: Pairs, ts_us: IntArray, value: FloatArray) -> list[int]:
        """XXH64 of the canonical bytes of each reading."""
        heads, names, units = (
            self._canonical_heads,
            self._canonical_metrics,
            self._canonical_units,
        )
        rows = zip(
            pairs,
            map(str, ts_us.ravel().tolist()),
            map(str, value.ravel().view(np.int64).tolist()),
            strict=True,
        )
        return [
            xxh64_intdigest(
                f"{heads[device]}{names[one]}{len(ts)}:{ts}{len(bits)}:{bits}{units[one]}".encode()
            )
            for (device, one), ts, bits in rows
        ]

    def _array(self, block: Block, index: int, rows: int) -> bytes:
        device, metric = int(block.device[index]), int(block.metric[index])
        head = self._json_heads[device] + self._json_metrics[metric]
        tail = self._json_tails[metric][int(block.suspect[index])]
        times = _times(block.ts_us[index, :rows])
        values = block.value[index, :rows].tolist()
        return json_array(
            [f'{head}{t}Z","value":{v!r}{tail}' for t, v in zip(times, values, strict=True)]
        )

    def _arrow(self, block: Block, index: int, rows: int) -> bytes:
        device, metric = int(block.device[index]), METRICS[int(block.metric[index])]
        return arrow_stream(
            arrow_batch(
                self.devices[device],
                self.sites[device],
                metric.name,
                metric.unit,
                block.ts_us[index, :rows],
                block.value[index, :rows],
                [QUALITY[int(block.suspect[index])]] * rows,
            )
        )


def _tail(metric: Metric, quality: str) -> str:
    """End of a JSON document; battery readings carry the device's firmware as an attribute."""
    attributes = ',"attributes":{"firmware":"2.4.1"}' if metric.name == "battery" else ""
    return f',"unit":"{metric.unit}","quality":"{quality}"{attributes}}}'


def _times(ts_us: IntArray) -> list[str]:
    """Timestamps in RFC 3339 without the zone, microseconds, flattened."""
    texts: list[str] = np.datetime_as_string(ts_us.ravel().view("M8[us]"), unit="us").tolist()
    return texts
