"""What the sensors measure: pure functions of seed, device and time; a late reading stays true.

Every function takes arrays of one length n and returns float64 of length n. ``t`` is the time of
measurement in seconds since the Unix epoch (float64, UTC), ``device`` the device's number (int64),
``noise`` standard normal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAY_S = 86_400.0
YEAR_S = 365.2425 * DAY_S
BURST_SLOT_S = 60.0
BURST_DECAY_S = 8.0
BURST_SHARE = 0.05
METER_INSTALLED_S = 1_577_836_800.0  # 2020-01-01: counters and batteries run from here
TAU = 2 * np.pi


def unit_hash(*keys: int | IntArray) -> FloatArray:
    """Uniform float64 in [0, 1) that depends on ``keys`` alone (SplitMix64); broadcasts."""
    state = np.zeros(1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            number = np.asarray(key, dtype=np.int64).astype(np.uint64)
            state = (state ^ number) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return (state >> np.uint64(11)).astype(np.float64) / float(1 << 53)


@dataclass(frozen=True, slots=True)
class World:
    """The surroundings of a fleet; devices of one site share its climate."""

    seed: int
    sites: int

    def trait(self, name: int, key: IntArray) -> FloatArray:
        """Property number ``name`` of each site or device, uniform in [0, 1)."""
        return unit_hash(self.seed, name, key)

    def baseline(self, t: FloatArray, device: IntArray) -> FloatArray:
        """Temperature in degrees Celsius without daily swing, weather and noise."""
        site = device % self.sites
        climate = 4.0 + 14.0 * self.trait(1, site) + 2.0 * self.trait(2, device) - 1.0
        return climate + 8.0 * np.sin(TAU * (t / YEAR_S - 0.3))

    def air(self, t: FloatArray, device: IntArray) -> FloatArray:
        """Temperature of the air in degrees Celsius, warmest at 14:30 UTC."""
        site = device % self.sites
        swing = (3.0 + 4.0 * self.trait(3, site)) * np.cos(TAU * (t / DAY_S - 14.5 / 24.0))
        weather = 2.5 * np.sin(TAU * (t / (4.3 * DAY_S) + self.trait(4, site)))
        return self.baseline(t, device) + swing + weather


Signal = Callable[[World, FloatArray, IntArray, FloatArray], FloatArray]


def temperature(world: World, t: FloatArray, device: IntArray, noise: FloatArray) -> FloatArray:
    """Air temperature in degrees Celsius with a sensor noise of 0.08 K."""
    return world.air(t, device) + 0.08 * noise


def humidity(world: World, t: FloatArray, device: IntArray, noise: FloatArray) -> FloatArray:
    """Relative humidity in percent: falls by 3 points for each degree above the baseline."""
    warmth = world.air(t, device) - world.baseline(t, device)
    front = 10.0 * np.sin(TAU * (t / (6.1 * DAY_S) + world.trait(5, device % world.sites)))
    return np.clip(62.0 - 3.0 * warmth + front + 0.6 * noise, 5.0, 100.0)


def vibration(world: World, t: FloatArray, device: IntArray, noise: FloatArray) -> FloatArray:
    """Vibration velocity in mm/s (RMS): a quiet floor and bursts that decay within a minute."""
    slot = np.floor(t / BURST_SLOT_S)
    lot = unit_hash(world.seed, 6, device, slot.astype(np.int64))
    strength = np.where(lot < BURST_SHARE, 6.0 + 14.0 * lot / BURST_SHARE, 0.0)
    burst = strength * np.exp(-(t - slot * BURST_SLOT_S) / BURST_DECAY_S)
    level: FloatArray = 0.7 + 0.12 * np.abs(noise) + burst
    return level


def battery(world: World, t: FloatArray, device: IntArray, noise: FloatArray) -> FloatArray:  # noqa: ARG001
    """Charge in percent: falls slowly from 100 to 5, then the battery is changed."""
    life = (30.0 + 370.0 * world.trait(7, device)) * DAY_S
    age = (t - METER_INSTALLED_S) / life + world.trait(8, device)
    return 100.0 - 95.0 * (age - np.floor(age))


def energy(world: World, t: FloatArray, device: IntArray, noise: FloatArray) -> FloatArray:  # noqa: ARG001
    """Meter reading in whole Wh; never falls, rises faster by day than by night."""
    watts = 50.0 + 450.0 * world.trait(9, device)
    day = TAU / DAY_S
    effective = (t - METER_INSTALLED_S) - 0.5 / day * np.cos(day * t - TAU * 9.0 / 24.0)
    return np.floor(watts * effective / 3600.0 + 1e6 * world.trait(10, device))


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity; ``unit`` is its UCUM code, ``decimals`` the sensor's resolution."""

    name: str
    unit: str
    decimals: int
    signal: Signal


METRICS = (
    Metric("temperature", "Cel", 2, temperature),
    Metric("humidity", "%", 1, humidity),
    Metric("vibration", "mm/s", 3, vibration),
    Metric("battery", "%", 2, battery),
    Metric("energy", "W.h", 0, energy),
)


def measure(
    world: World, metric: IntArray, t: FloatArray, device: IntArray, noise: FloatArray
) -> FloatArray:
    """Values of shape (n,) at the sensors' resolution; ``metric`` holds indexes of METRICS."""
    values = np.empty(len(t))
    for index, one in enumerate(METRICS):
        of = metric == index
        values[of] = np.round(one.signal(world, t[of], device[of], noise[of]), one.decimals)
    return values + 0.0  # -0.0 becomes 0.0
