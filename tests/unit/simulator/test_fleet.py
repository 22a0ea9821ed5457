"""The fleet: determinism, shares, counts, and the fingerprints that its messages carry."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import SettingsError
from simulator.fleet import Fleet, FleetOptions
from simulator.manifest import fingerprint
from simulator.readings import EPOCH, Message, Reading

START_US = 1_795_000_000_000_000
MASK = 0xFFFFFFFFFFFFFFFF
FAULTS: dict[str, Any] = {
    "malformed": 0.05,
    "late": 0.1,
    "duplicates": 0.05,
    "dropouts": 0.2,
}


def fleet(**options: Any) -> Fleet:
    """A fleet of few devices, so that each is heard often."""
    return Fleet(FleetOptions(**{"start_us": START_US, "devices": 20, **options}))


def readings_of(message: Message) -> list[Reading]:
    """The readings in a payload, parsed by other means than those that wrote it."""
    if message.payload[:4] == b"\xff\xff\xff\xff":
        table = pa.ipc.open_stream(message.payload).read_all()
        rows = table.to_pylist()
        for row in rows:
            row["ts"] = row["ts"].isoformat()
    else:
        parsed = json.loads(message.payload)
        rows = parsed if isinstance(parsed, list) else [parsed]
    return [
        Reading(
            row["device_id"],
            row["site"],
            row["metric"],
            round((datetime.fromisoformat(row["ts"]) - EPOCH).total_seconds() * 1e6),
            float(row["value"]),
            row["unit"],
        )
        for row in rows
    ]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    count=st.integers(0, 5_000),
    payload=st.sampled_from(["json", "array", "arrow"]),
    share=st.floats(0, 0.5),
)
def test_same_seed_and_start_give_the_same_messages(
    seed: int, count: int, payload: str, share: float
) -> None:
    """Two fleets with equal options yield equal messages, whatever else happened before."""
    options: dict[str, Any] = {"seed": seed, "count": count, "payload": payload}
    options |= dict.fromkeys(FAULTS, share)
    if payload != "json":
        options["rows_per_message"] = 50
    first = list(fleet(**options))

    assert first == list(fleet(**options))


def test_another_seed_gives_other_messages() -> None:
    """The seed reaches the values, not the order of devices."""
    one, other = (list(fleet(seed=seed, count=500)) for seed in (1, 2))

    assert [m.subject for m in one] == [m.subject for m in other]
    assert sum(a.payload == b.payload for a, b in zip(one, other, strict=True)) < 5


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    """Messages do not depend on how many are asked for."""
    few = list(fleet(count=3_000, malformed=0.1, late=0.1, duplicates=0.1))
    many = itertools.islice(fleet(malformed=0.1, late=0.1, duplicates=0.1), len(few))

    assert few == list(many)


@pytest.mark.parametrize(("payload", "rows"), [("json", 1), ("array", 7), ("arrow", 64)])
@pytest.mark.parametrize("count", [0, 1, 2_047, 2_048, 2_049, 6_000])
def test_count_is_the_number_of_readings_taken(payload: Any, rows: int, count: int) -> None:
    """Without faults the messages hold exactly ``count`` readings, the last one maybe fewer."""
    messages = list(fleet(count=count, payload=payload, rows_per_message=rows))

    assert sum(message.readings for message in messages) == count
    assert sum(len(readings_of(message)) for message in messages) == count


@pytest.mark.parametrize(("payload", "rows"), [("json", 1), ("array", 30), ("arrow", 30)])
def test_a_message_carries_the_fingerprint_of_its_readings(payload: Any, rows: int) -> None:
    """The fast hash of the inner loop equals the documented one, for every payload form."""
    for message in fleet(count=2_000, payload=payload, rows_per_message=rows):
        readings = readings_of(message)

        assert message.readings == len(readings)
        assert {reading.device_id for reading in readings} == {message.device}
        assert message.fingerprint == sum(map(fingerprint, readings)) & MASK


def test_subject_names_site_device_and_metric() -> None:
    """The subject's tokens are those of the payload, under the prefix."""
    for message in fleet(count=300, subject_prefix="a.b"):
        (reading,) = readings_of(message)

        assert message.subject == f"a.b.{reading.site}.{reading.device_id}.{reading.metric}"


def test_messages_are_about_150_bytes() -> None:
    """A JSON message has the size that the throughput figures are about."""
    sizes = [len(message.payload) for message in fleet(count=5_000, devices=1_000)]

    assert 120 <= sum(sizes) / len(sizes) <= 165


def test_shares_are_what_was_asked_for() -> None:
    """Each fault befalls its share of the messages, within five standard deviations."""
    count = 40_000
    labels = Counter(
        message.label if not message.malformed else "malformed"
        for message in fleet(count=count, malformed=0.02, late=0.03, duplicates=0.01)
    )

    for name, share in (("malformed", 0.02), ("late", 0.03 * 0.98), ("duplicate", 0.01 * 0.98)):
        spread = 5 * (count * share * (1 - share)) ** 0.5
        assert abs(labels[name] - count * share) < spread, name


def test_every_malformed_kind_turns_up() -> None:
    """A run of some length shows every kind, and oversized only where a size is given."""
    plain = {m.label for m in fleet(count=4_000, malformed=1.0)}
    sized = {m.label for m in fleet(count=4_000, malformed=1.0, oversized_bytes=10_000)}

    assert sized - plain == {"oversized"}
    assert len(plain) == 24


def test_malformed_messages_count_no_readings() -> None:
    """A message that must be refused adds nothing to a device's readings."""
    for message in fleet(count=500, malformed=1.0):
        assert (message.readings, message.fingerprint) == (0, 0)


def test_a_device_duplicate_is_the_same_message_again() -> None:
    """A duplicate follows its original with equal subject and payload, and counts again."""
    messages = list(fleet(count=4_000, duplicates=0.1))
    pairs = [pair for pair in itertools.pairwise(messages) if pair[1].label == "duplicate"]

    assert len(pairs) > 200
    for original, copy in pairs:
        assert original[:5] == copy[:5]


def test_late_readings_are_earlier_than_their_neighbours() -> None:
    """Late messages carry the time of measurement, one minute to ``late_max_s`` ago."""
    times = {"": [], "late": []}  # type: dict[str, list[int]]
    for message in fleet(count=20_000, late=0.05, late_max_s=3_600, skew_s=0, jitter_s=0):
        times[message.label].append(readings_of(message)[0].ts_us)

    assert max(times["late"]) < min(times[""])
    assert min(times["late"]) >= START_US - 3_600_000_000
    assert len(times["late"]) > 500


def test_dropouts_only_delay_messages() -> None:
    """With dropouts the same messages come, some of them later and marked as caught up."""
    steady = list(fleet(count=30_000))
    broken = list(fleet(count=30_000, dropouts=0.1))

    assert sorted(m.payload for m in steady) == sorted(m.payload for m in broken)
    late = [m for m in broken if m.label == "catch_up"]
    assert 0.03 < len(late) / len(broken) < 0.2
    assert [m.payload for m in steady] != [m.payload for m in broken]


def test_dropouts_keep_the_order_of_a_series() -> None:
    """A device that catches up sends its readings in the order of measurement."""
    last: dict[str, int] = {}
    for message in fleet(count=30_000, dropouts=0.1, jitter_s=0):
        (reading,) = readings_of(message)
        assert reading.ts_us > last.get(message.subject, 0)
        last[message.subject] = reading.ts_us


def test_rate_spreads_messages_over_time() -> None:
    """Message n of a paced run is due n / rate seconds after the start."""
    messages = list(fleet(count=1_000, rate=200.0))

    assert [message.due_s for message in messages] == [n / 200 for n in range(1_000)]


def test_interval_is_the_event_time_between_two_readings() -> None:
    """Consecutive readings of one series are ``interval_s`` apart."""
    times = [
        readings_of(message)[0].ts_us
        for message in fleet(count=1_000, interval_s=60, skew_s=0, jitter_s=0)
        if message.subject.endswith("dev-0003.battery")
    ]

    assert {b - a for a, b in itertools.pairwise(times)} == {60_000_000}


@pytest.mark.parametrize("count", [1, 99, 5_000, 9_973])
@pytest.mark.parametrize(("payload", "rows"), [("json", 1), ("array", 40)])
def test_an_unpaced_run_ends_now(count: int, payload: Any, rows: int) -> None:
    """Without a start the latest reading of a run of known length is now."""
    options = FleetOptions(
        start_us=0,
        devices=20,
        count=count // rows * rows or rows,
        interval_s=30,
        skew_s=0,
        jitter_s=0,
        payload=payload,
        rows_per_message=rows,
    )
    messages = Fleet(options.starting(None, now_us=START_US))
    latest = max(reading.ts_us for message in messages for reading in readings_of(message))

    assert START_US - 2 <= latest <= START_US
    assert options.starting(7, now_us=START_US).start_us == 7


@pytest.mark.parametrize(("payload", "rows"), [("json", 1), ("array", 40)])
@pytest.mark.parametrize("rate", [0.5, 50.0])
def test_no_paced_reading_is_sent_before_it_is_measured(
    payload: Any, rows: int, rate: float
) -> None:
    """In real time every row of a message is in the past when the message is due."""
    options = FleetOptions(
        start_us=0,
        devices=20,
        count=300 * rows,
        rate=rate,
        skew_s=0,
        jitter_s=0,
        payload=payload,
        rows_per_message=rows,
    )
    for message in Fleet(options.starting(None, now_us=START_US)):
        latest = max(reading.ts_us for reading in readings_of(message))
        assert latest <= START_US + message.due_s * 1e6 + 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"malformed": 1.5}, "malformed is 1.5, a share is between 0 and 1"),
        ({"late": float("nan")}, "late is nan, a share is between 0 and 1"),
        ({"devices": 0}, "devices is 0, must be at least 1"),
        ({"devices": 1_000_001}, "devices is 1000001, at most 1000000"),
        ({"payload": "xml"}, "payload is 'xml'"),
        ({"rows_per_message": 5}, "a json payload carries one"),
        ({"rate": float("inf")}, "rate is inf, must be finite"),
        ({"count": -1}, "count is -1, must not be negative"),
        ({"interval_s": 0.0}, "interval_s is 0.0, must be positive"),
        ({"kinds": ("oops",)}, "unknown malformed kinds ['oops']"),
        ({"kinds": ("oversized",)}, "kind oversized needs oversized_bytes"),
    ],
)
def test_a_wrong_option_is_one_sentence(options: dict[str, Any], problem: str) -> None:
    """An option out of range is refused by name and value."""
    with pytest.raises(SettingsError) as caught:
        fleet(**options)

    assert problem in str(caught.value)
