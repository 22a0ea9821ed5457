"""Blocks of measurements as arrays: which device, when, what value, and which fault befalls it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.signals import METRICS, FloatArray, IntArray, World, measure

BLOCK_READINGS = 2_048
LATE_MIN_S = 60.0
SUSPECT_SHARE = 0.01


def messages_per_block(rows: int) -> int:
    """Messages of one block when each carries ``rows`` readings."""
    return max(1, BLOCK_READINGS // rows)


@dataclass(frozen=True, slots=True)
class Block:
    """n messages of r readings each.

    Shape (n,): ``device``, ``metric`` and ``round`` int64; ``late`` and ``suspect`` bool;
    ``fault``, ``kind`` and ``again`` uniform float64 in [0, 1), the lots drawn for malformed
    messages, their kind, and duplicates. Shape (n, r): ``ts_us`` int64 microseconds since the Unix
    epoch by the device's clock, ``value`` float64.
    """

    device: IntArray
    metric: IntArray
    round: IntArray
    ts_us: IntArray
    value: FloatArray
    late: npt.NDArray[np.bool_]
    suspect: npt.NDArray[np.bool_]
    fault: FloatArray
    kind: FloatArray
    again: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMaker:
    """Makes blocks; see FleetOptions for the fields."""

    seed: int
    devices: int
    sites: int
    rows: int
    start_us: int
    step_us: float
    late: float
    late_max_s: float
    skew_s: float
    jitter_s: float

    def make(self, number: int, size: int) -> Block:
        """The first ``size`` messages of block ``number``."""
        full = messages_per_block(self.rows)
        rng = np.random.default_rng((self.seed, number))
        lots = rng.random((6, full))[:, :size]
        noise = rng.standard_normal((2, full, self.rows))[:, :size]
        series = len(METRICS) * self.devices
        index = number * full + np.arange(size, dtype=np.int64)
        device = index % series // len(METRICS)
        metric = index % len(METRICS)
        late = lots[0] < self.late
        delay_s = np.where(late, LATE_MIN_S + lots[1] * max(0.0, self.late_max_s - LATE_MIN_S), 0.0)
        measured_us = self._measured_us(index, series) - (delay_s * 1e6).astype(np.int64)[:, None]
        rows = measured_us.shape[1]
        value = measure(
            World(self.seed, self.sites),
            np.repeat(metric, rows),
            measured_us.ravel() / 1e6,
            np.repeat(device, rows),
            noise[0].ravel(),
        ).reshape(measured_us.shape)
        return Block(
            device=device,
            metric=metric,
            round=index // series,
            ts_us=measured_us + self._clock_error_us(device, noise[1]),
            value=value,
            late=late,
            suspect=lots[2] < SUSPECT_SHARE,
            fault=lots[3],
            kind=lots[4],
            again=lots[5],
        )

    def _measured_us(self, index: IntArray, series: int) -> IntArray:
        """True time of each reading, shape (n, r): a device's rows are one round apart."""
        first = index // series * self.rows * series + index % series
        order = first[:, None] + np.arange(self.rows, dtype=np.int64) * series
        return self.start_us + np.round(order * self.step_us).astype(np.int64)

    def _clock_error_us(self, device: IntArray, noise: FloatArray) -> IntArray:
        """Skew of the device's clock (same for all its readings) and jitter, at most 3 sigma."""
        lot = World(self.seed, self.sites).trait(13, device)
        skew_s = self.skew_s * 3.0 * (2.0 * lot - 1.0) ** 3
        jitter_s = self.jitter_s * np.clip(noise, -3.0, 3.0)
        return np.round((skew_s[:, None] + jitter_s) * 1e6).astype(np.int64)
