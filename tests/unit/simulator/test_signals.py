"""The signals: physically sane, and functions of time alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.signals import (
    DAY_S,
    METRICS,
    World,
    battery,
    energy,
    humidity,
    measure,
    temperature,
    unit_hash,
    vibration,
)

MIDNIGHT_S = 1_795_046_400.0
WORLD = World(seed=1, sites=4)


def day(device: int, step_s: float = 60.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times of one day, the device for each, and no noise."""
    t = np.arange(MIDNIGHT_S, MIDNIGHT_S + DAY_S, step_s)
    return t, np.full(len(t), device), np.zeros(len(t))


@pytest.mark.parametrize("device", range(8))
def test_afternoons_are_warmer_than_nights(device: int) -> None:
    """Temperature swings over the day by some degrees, warmest in the afternoon."""
    t, devices, noise = day(device)
    values = temperature(WORLD, t, devices, noise)
    hours = (t % DAY_S) / 3600

    afternoon = values[(hours > 12) & (hours < 17)].mean()
    night = values[(hours < 5)].mean()
    assert 2.0 < afternoon - night < 20.0
    assert -30.0 < values.min() < values.max() < 50.0


@pytest.mark.parametrize("device", range(8))
def test_humidity_falls_when_it_gets_warmer(device: int) -> None:
    """Over a day humidity and temperature run against each other, within 0 and 100 percent."""
    t, devices, noise = day(device)
    warm = temperature(WORLD, t, devices, noise)
    damp = humidity(WORLD, t, devices, noise)

    assert np.corrcoef(warm, damp)[0, 1] < -0.7
    assert damp.min() >= 5.0
    assert damp.max() <= 100.0


def test_vibration_comes_in_rare_decaying_bursts() -> None:
    """Most of the time there is the quiet floor; a burst is strong and over within its minute."""
    t, devices, noise = day(3, step_s=1.0)
    values = vibration(WORLD, t, devices, noise)
    minutes = values.reshape(-1, 60)
    bursts = minutes[:, 0] > 5.0

    assert 0.02 < bursts.mean() < 0.1
    assert (minutes[~bursts] == 0.7).all()
    assert (np.diff(minutes[bursts], axis=1) < 0).all()
    assert (minutes[bursts][:, -1] < 1.0).all()


def test_battery_discharges_and_is_replaced() -> None:
    """Charge falls all the time and jumps up only from nearly empty."""
    t = MIDNIGHT_S + np.arange(0, 900) * DAY_S
    values = battery(WORLD, t, np.full(len(t), 5), np.zeros(len(t)))
    steps = np.diff(values)

    assert values.min() >= 5.0
    assert values.max() <= 100.0
    assert (steps[steps > 0] > 80.0).all()
    assert (steps > 0).sum() >= 1


@given(seed=st.integers(0, 2**62), device=st.integers(0, 999_999))
def test_a_meter_never_runs_backwards(seed: int, device: int) -> None:
    """The energy counter never falls, is whole, and rises over a day."""
    t, devices, noise = day(device, step_s=600)
    values = energy(World(seed, 4), t, devices, noise)

    assert (np.diff(values) >= 0).all()
    assert values[-1] > values[0]
    assert (values == np.floor(values)).all()


def test_devices_differ_and_share_their_site_s_weather() -> None:
    """Two devices at one site see nearly the same temperature, those of another site do not."""
    t, _, noise = day(0)
    readings = [temperature(WORLD, t, np.full(len(t), d), noise) for d in (0, 4, 1)]

    assert 0 < np.abs(readings[0] - readings[1]).max() < 2.1
    assert np.abs(readings[0] - readings[2]).max() > np.abs(readings[0] - readings[1]).max()


def test_values_have_the_sensor_s_resolution() -> None:
    """Each metric is rounded to its decimals, and never a negative zero or a non-number."""
    rng = np.random.default_rng(0)
    metric = rng.integers(0, len(METRICS), 5_000)
    t = MIDNIGHT_S + rng.random(5_000) * 365 * DAY_S
    values = measure(WORLD, metric, t, rng.integers(0, 50, 5_000), rng.standard_normal(5_000))

    assert np.isfinite(values).all()
    assert not (np.signbit(values) & (values == 0)).any()
    for index, one in enumerate(METRICS):
        of = values[metric == index]
        assert (np.round(of, one.decimals) == of).all()


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_hash_depends_on_its_keys_alone(one: int, other: int) -> None:
    """Equal keys give equal lots in [0, 1), scalar or array."""
    alone = unit_hash(one, other)[0]
    together = unit_hash(one, np.array([0, other, 1], dtype=np.int64))[1]

    assert 0.0 <= alone < 1.0
    assert alone == together


def test_hashes_are_uniform() -> None:
    """Lots of consecutive keys fill the unit interval evenly."""
    lots = unit_hash(1, 2, np.arange(100_000))
    shares = np.histogram(lots, bins=20, range=(0, 1))[0] / len(lots)

    assert np.abs(shares - 0.05).max() < 0.005
