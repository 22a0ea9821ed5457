"""The weather contract: nested fields, subject tokens, constants, epochs, what is left over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ingest.decode import Decoded
from ingest.refusal import Reason

Decode = Callable[..., Decoded]

SUBJECT = "weather.np.ktm"
MESSAGE: dict[str, Any] = {
    "time": 1_767_323_045_123,
    "air": {"temp": 3.4, "hum": 71.0, "press": 1013.2},
    "wind": {"avg": 2.5, "gust": 4.0, "dir": 220},
    "rain": {"mm": 0.2},
    "battery": {"volts": 3.91, "charging": True},
    "fw": "2.4.1",
}


def row(decode: Decode, message: object, subject: str = SUBJECT) -> dict[str, Any]:
    """The single row of one message."""
    result = decode([json.dumps(message).encode()], "weather", subject)
    assert result.refused == []
    rows: list[dict[str, Any]] = result.batch.to_pylist()
    assert len(rows) == 1
    return rows[0]


def refusal(decode: Decode, message: object, subject: str = SUBJECT) -> tuple[Reason, str]:
    """Reason and detail of one message that is refused."""
    result = decode([json.dumps(message).encode()], "weather", subject)
    assert result.batch.num_rows == 0
    return result.refused[0].reason, result.refused[0].detail


def test_a_nested_message_is_one_wide_row(decode: Decode) -> None:
    """Every column comes from its path, its subject token or its constant."""
    found = row(decode, MESSAGE)

    assert (found["station"], found["country"], found["network"]) == ("ktm", "np", "amateur")
    assert found["observed_at"].timestamp() == 1_767_323_045.123
    assert (found["temperature"], found["pressure"]) == (3.4, 1013.2)
    assert (found["humidity"], found["wind_speed"], found["wind_gust"]) == (71.0, 2.5, 4.0)
    assert found["battery"] == pytest.approx(3.91, abs=1e-6)
    assert (found["wind_direction"], found["charging"]) == (220, True)
    assert (found["rain"], found["firmware"], found["extra"]) == (0.2, "2.4.1", None)


def test_absent_and_null_objects_leave_null_or_the_default(decode: Decode) -> None:
    """A parent that is missing or null is like each of its fields missing."""
    for message in ({"air": {"temp": 1}}, {"air": {"temp": 1}, "wind": None, "rain": {"mm": None}}):
        found = row(decode, message)
        assert (found["wind_speed"], found["wind_direction"], found["charging"]) == (None,) * 3
        assert (found["rain"], found["firmware"], found["extra"]) == (0.0, "", None)
        assert found["observed_at"] == found["_stored_at"]


def test_fields_of_no_column_are_kept_as_sent(decode: Decode) -> None:
    """Unknown fields at any level are JSON text: keys sorted, numbers as the device wrote them."""
    payload = b'{"zz":1.10e2,"air":{"temp":1,"t\\u00f6":[1, 2]},"aa":"\\u0041","wind":{"raw":null}}'

    result = decode([payload, b"[" + payload + b"]"], "weather", SUBJECT)

    kept = '{"aa":"\\u0041","air":{"tö":[1, 2]},"wind":{"raw":null},"zz":1.10e2}'
    assert result.batch.column("extra").to_pylist() == [kept, kept]


@pytest.mark.parametrize(
    ("message", "reason", "says"),
    [
        ({}, Reason.MISSING_FIELD, "element 0, air: found nothing, expected a value"),
        ({"air": None}, Reason.MISSING_FIELD, "air: found null"),
        ({"air": {}}, Reason.MISSING_FIELD, "air.temp: found nothing"),
        ({"air": []}, Reason.WRONG_TYPE, "air: found an array, expected an object"),
        ({"air": {"temp": "x"}}, Reason.WRONG_TYPE, "air.temp: found a string 'x'"),
        (
            {"air": {"temp": 1}, "wind": 5},
            Reason.WRONG_TYPE,
            "wind: found a number, expected an object",
        ),
        ({"air": {"temp": 1}, "wind": {"dir": 2**31}}, Reason.OUT_OF_RANGE, "wind.dir: found"),
        ({"air": {"temp": 1, "hum": 1e39}}, Reason.OUT_OF_RANGE, "humidity: found 1e+39"),
        ({"air": {"temp": 1}, "time": "now"}, Reason.WRONG_TYPE, "time: found a string 'now'"),
        ({"air": {"temp": 1}, "time": 0}, Reason.TOO_OLD, "observed_at: found an event"),
    ],
)
def test_a_bad_nested_field_is_named_by_its_path(
    decode: Decode, message: object, reason: Reason, says: str
) -> None:
    """The detail leads to the field."""
    found = refusal(decode, message)

    assert found[0] is reason
    assert says in found[1]


def test_a_subject_without_the_token_is_refused(decode: Decode) -> None:
    """A column from the subject has no value when the subject is too short."""
    assert refusal(decode, MESSAGE, "weather.np") == (
        Reason.BAD_SUBJECT,
        "station: found 'weather.np', no token 2",
    )
    assert row(decode, MESSAGE, "weather.np.ktm.roof")["station"] == "ktm"
