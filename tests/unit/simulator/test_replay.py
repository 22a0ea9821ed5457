"""Replay of CSV files: mapping, both forms, times, and one sentence for each mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contract import load_contract
from ingest.errors import SettingsError
from simulator.errors import CsvError
from simulator.manifest import fingerprint
from simulator.readings import EPOCH, Message, Reading
from simulator.replay import Replay, ReplayOptions, sample_options, sample_series

LONG = "device,when,what,reading,unit\nd1,2026-01-01T00:00:00Z,temp,1.5,Cel\n"
WIDE = "when,temp,hum\n2026-01-01T00:00:00Z,1.5,60\n2026-01-01T01:00:00Z,,61\n"
LONG_COLUMNS = {
    "device_id": "device",
    "ts": "when",
    "metric": "what",
    "value": "reading",
    "unit": "unit",
}
T0_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
HOUR_US = 3_600_000_000

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a CSV file and gives its path."""

    def to_file(content: str | bytes) -> Path:
        path = tmp_path / "series.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


def long(path: Path, **options: Any) -> list[Message]:
    """Messages of a long-form file with the columns above."""
    return list(Replay(ReplayOptions(**{"path": path, "columns": LONG_COLUMNS, **options})))


def wide(path: Path, **options: Any) -> list[Message]:
    """Messages of a wide-form file with the columns temp and hum."""
    given_options: dict[str, Any] = {
        "path": path,
        "columns": {"ts": "when"},
        "constants": {"device_id": "w1", "site": "roof"},
        "value_columns": ("temp", "hum"),
    }
    return list(Replay(ReplayOptions(**given_options | options)))


def times(messages: list[Message]) -> list[str]:
    """The ts of each message."""
    return [json.loads(message.payload)["ts"] for message in messages]


def test_long_form_maps_columns(write: Write) -> None:
    """A row is one reading; every mapped column and constant is in the message."""
    (message,) = long(write(LONG), constants={"site": "s 1", "attributes.line": "A"})
    reading = Reading("d1", "s 1", "temp", T0_US, 1.5, "Cel")

    assert json.loads(message.payload) == {
        "device_id": "d1",
        "site": "s 1",
        "metric": "temp",
        "ts": "2026-01-01T00:00:00.000000Z",
        "value": 1.5,
        "unit": "Cel",
        "attributes": {"line": "A"},
    }
    assert message.subject == "readings.s_1.d1.temp"
    assert (message.device, message.readings) == ("d1", 1)
    assert message.fingerprint == fingerprint(reading)


def test_wide_form_gives_a_reading_for_each_filled_column(write: Write) -> None:
    """Metrics are named after their columns; an empty cell is no reading."""
    messages = wide(write(WIDE), units={"temp": "Cel"})
    found = [json.loads(message.payload) for message in messages]

    assert [(one["metric"], one["value"], one["unit"]) for one in found] == [
        ("temp", 1.5, "Cel"),
        ("hum", 60.0, ""),
        ("hum", 61.0, ""),
    ]


@settings(max_examples=60, deadline=None)
@given(
    device=st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1),
    value=st.floats(allow_nan=False, allow_infinity=False),
    ts_us=st.integers(-(10**15), 4 * 10**15),
)
def test_any_text_and_number_arrives_unchanged(
    tmp_path_factory: pytest.TempPathFactory, device: str, value: float, ts_us: int
) -> None:
    """Device ids of any kind, every double and every time survive into payload and fingerprint."""
    path = tmp_path_factory.mktemp("csv") / "f.csv"
    quoted = device.replace('"', '""')
    path.write_text(f'd,t,v\n"{quoted}",{ts_us},{value!r}\n', encoding="utf-8", newline="")
    (message,) = Replay(
        ReplayOptions(
            path=path,
            columns={"device_id": "d", "ts": "t", "value": "v"},
            constants={"metric": "m"},
            time_format="epoch-us",
        )
    )
    found = json.loads(message.payload)

    assert found["device_id"] == device
    assert repr(found["value"]) == repr(value)
    assert message.fingerprint == fingerprint(Reading(device, "", "m", ts_us, value, ""))
    assert message.subject.count(".") == 3
    assert not set(message.subject) & set(" \t*>")


def test_shift_to_now_brings_the_last_row_to_now(write: Write) -> None:
    """As fast as it goes, the series ends at the time of the replay and keeps its distances."""
    now_us = T0_US + 1_000 * HOUR_US
    moved = times(wide(write(WIDE), shift_to_now_us=now_us))

    assert moved[0].startswith("2026-02-11T15:00")
    assert moved[-1].startswith("2026-02-11T16:00")


def test_shift_to_now_at_a_speed_never_sends_ahead_of_time(write: Write) -> None:
    """At speed X a row is sent its distance / X after the start, and the last one is then new."""
    now_us = T0_US + 1_000 * HOUR_US
    messages = wide(write(WIDE), shift_to_now_us=now_us, speed=3_600.0)

    assert [message.due_s for message in messages] == [0.0, 0.0, 1.0]
    assert times(messages)[-1] == "2026-02-11T16:00:01.000000Z"
    real_time = wide(write(WIDE), shift_to_now_us=now_us, speed=1.0)
    assert times(real_time)[0] == "2026-02-11T16:00:00.000000Z"


def test_since_and_until_cut_the_series(write: Write) -> None:
    """Rows from ``since`` on and before ``until`` are sent; shifting looks at those alone."""
    path = write(WIDE)

    assert len(wide(path, since_us=T0_US + HOUR_US)) == 1
    assert len(wide(path, until_us=T0_US + HOUR_US)) == 2
    shifted = wide(path, until_us=T0_US + HOUR_US, shift_to_now_us=T0_US + 5 * HOUR_US)
    assert set(times(shifted)) == {"2026-01-01T05:00:00.000000Z"}


HEAD = LONG.split("\n", maxsplit=1)[0] + "\n"
GOOD = "d1,2026-01-01T00:00:00Z,temp,1.5,Cel\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "line 1: expected a header with column names, found nothing"),
        ("a,b\n1,2\n", "line 1: column 'device' is not there; found: a, b"),
        (HEAD.replace("unit", "device"), "line 1: column 'device' is twice there"),
        (HEAD + GOOD + "d1,2026-01-01T00:00:00Z\n", "line 3: 2 cells, expected 5 as in the header"),
        (HEAD + GOOD * 2 + GOOD.replace("1.5", "x"), "line 4: column reading: 'x' is not a finite"),
        (HEAD + GOOD.replace("1.5", "nan"), "line 2: column reading: 'nan' is not a finite number"),
        (HEAD + GOOD.replace("1.5", ""), "line 2: column reading: '' is not a finite number"),
        (HEAD + GOOD.replace("2026-01", "2026-13"), "line 2: column when: '2026-13-01T00:00:00Z'"),
        (HEAD + GOOD.replace("d1", ""), "line 2: the device_id is empty"),
        (HEAD + GOOD.replace("temp", ""), "line 2: the metric is empty"),
        (HEAD + GOOD + '"d1,2026\n', "unexpected end of data"),
        (b"device,when,what,reading,unit\n\xff\xfe,x,x,1,x\n", "not UTF-8"),
    ],
)
def test_a_bad_file_is_one_sentence_with_file_and_line(
    write: Write, content: str | bytes, problem: str
) -> None:
    """The error names the file, the line, what was found and what was expected."""
    path = write(content)
    with pytest.raises(CsvError) as caught:
        long(path)

    assert str(caught.value).startswith(f"{path}, ")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_time_that_the_contract_refuses_is_an_error(write: Write) -> None:
    """A row that would be refused for its time is named, unless shifting mends it."""
    path = write(WIDE)
    now_us = T0_US + 1_000 * HOUR_US

    with pytest.raises(CsvError, match=r"line 2: 2026-01-01T00:00:00.000000Z is older than"):
        wide(path, oldest_us=now_us - HOUR_US)
    with pytest.raises(CsvError, match=r"line 3: .* is further ahead than"):
        wide(path, newest_us=T0_US)
    assert wide(path, oldest_us=now_us - HOUR_US, newest_us=now_us, shift_to_now_us=now_us)
    slow = {"shift_to_now_us": now_us, "speed": 1.0, "newest_us": now_us}
    assert len(wide(path, **slow)) == 3


def test_rows_before_a_bad_one_are_yielded(write: Write) -> None:
    """The file is read as it is replayed: the mistake comes up where it stands."""
    messages = iter(Replay(ReplayOptions(path=write(HEAD + GOOD + "oops\n"), columns=LONG_COLUMNS)))

    assert next(messages).device == "d1"
    with pytest.raises(CsvError, match="line 3"):
        next(messages)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """A path that is not there is named with the system's reason."""
    with pytest.raises(CsvError, match="No such file"):
        long(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"columns": {"ts": "when"}}, "nothing gives device_id, metric, value"),
        ({"columns": {**LONG_COLUMNS, "oops": "x"}}, "unknown column 'oops'"),
        ({"constants": {"unit": "K"}}, "unit: both mapped and constant"),
        ({"value_columns": ("a",)}, "metric, value: in wide form these come from"),
        ({"speed": -1.0}, "speed is -1.0"),
        ({"time_format": "guess"}, "unknown time format 'guess'"),
        ({"zone": "Nowhere/Else"}, "unknown time zone 'Nowhere/Else'"),
    ],
)
def test_a_wrong_mapping_is_one_sentence(
    write: Write, options: dict[str, Any], problem: str
) -> None:
    """Mistakes in the options are found before the file is opened."""
    with pytest.raises(SettingsError) as caught:
        long(write(LONG), **options)

    assert problem in str(caught.value)


def test_the_sample_is_a_year_of_hours() -> None:
    """The packaged series has 8,759 hourly readings of 2010 in local standard time."""
    messages = list(Replay(sample_options(subject_prefix="history")))
    stamps = times(messages)

    assert sample_series().name == "seattle-temps.csv"
    assert len(messages) == 8_759
    assert stamps[0] == "2010-01-01T08:00:00.000000Z"
    assert stamps[-1] == "2011-01-01T07:00:00.000000Z"
    assert sorted(set(stamps)) == stamps
    assert {message.device for message in messages} == {"seattle-station"}
    assert messages[0].subject == "history.seattle.seattle-station.temperature"


def test_the_mapped_columns_are_the_contract_s() -> None:
    """Everything that a mapping may name is a column of the packaged contracts."""
    from simulator.replay import COLUMNS

    for name in ("readings", "history"):
        assert set(COLUMNS) <= {column.name for column in load_contract(name).columns}


def test_the_epoch_is_utc() -> None:
    """Microseconds count from 1970 in UTC."""
    assert EPOCH.isoformat() == "1970-01-01T00:00:00+00:00"
